"""What nothing can be faster than: python -m benchmarks.limits [--quick] [--device gpu] [--batches 1 8 32]
[--nets FILE.keras ...]

The transcode limit, decoding alone, encoding alone, a copy of the picture's planes, the method alone and its
net alone. What streamseg makes of each is measured in the same turns; a ratio is taken within a turn.

With ``--device gpu`` the net, and each of --nets, is also given batches, in single and in half precision,
beside the largest matrix product that the device was seen to do: how far from its roofline is it?
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

import streamseg
from benchmarks.common import (
    Bench,
    Table,
    decode,
    folder_and_clip,
    interleaved,
    ratios,
    shown,
    start,
    summary,
    transcode,
)
from streamseg import segment
from streamseg.core.frames import Frame
from streamseg.core.geometry import net_size
from streamseg.core.thread_budget import Threads
from streamseg.segment.built_in import built_in
from streamseg.segment.model_file import spec_of
from streamseg.segment.runtimes import open_net
from streamseg.source import open_source

PICTURES = 24  # 75 MB at 1080p
PICTURE = (*net_size(1080, 1920), 3)  # what a net is given of a 16:9 video
PRECISIONS = ("float32", "float16")
# what streamseg does -> the limit of it
LIMIT_OF = {"run to a file": "transcode", "run to nowhere": "decode", "small picture + net": "net alone",
            "method": "net alone"}


class Kernels:
    """Tasks on one clip; each gives frames a second."""

    def __init__(self, clip: Path, work: Path, device: str, seconds: float) -> None:
        self._clip, self._work, self._device, self._seconds = clip, work, device, seconds
        source = open_source(clip)
        try:
            self._frames = [frame for frame, _ in zip(source, range(PICTURES), strict=False)]
        finally:
            source.close()
        self._segmenter = segment.create_segmenter("person", device=device)
        alpha = self._segmenter.segment(self._frames[:1])[0].alpha
        self._small = alpha.shape[1], alpha.shape[0]
        path = built_in(device=device)
        self._net = open_net(path, spec_of(path), "auto", device, Threads.of().net)
        self._given = self._picture(self._frames[0])

    def close(self) -> None:
        """Free the nets."""
        self._net.close()
        self._segmenter.close()

    def tasks(self) -> dict[str, Callable[[], float]]:
        """By name: the limits, then what streamseg does."""
        return {
            "transcode": lambda: transcode(self._clip, self._work / "limit.mp4"),
            "decode": lambda: decode(self._clip),
            "encode": self._encode,
            "copy of the planes": partial(self._each, self._copy),
            "small picture": partial(self._each, self._picture),
            "net alone": partial(self._each, lambda frame: self._net.run([self._given])),
            "small picture + net": partial(self._each, lambda frame: self._net.run([self._picture(frame)])),
            "method": partial(self._each, lambda frame: self._segmenter.segment([frame])),
            "run to nowhere": partial(self._run, "null:"),
            "run to a file": partial(self._run, str(self._work / "out.mp4")),
        }

    def _each(self, work: Callable[[Frame], object]) -> float:
        """Frames a second of ``work`` on one frame after another."""
        count, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < self._seconds:
            work(self._frames[count % len(self._frames)])
            count += 1
        return count / spent

    def _copy(self, frame: Frame) -> None:
        made = Frame.empty(frame)
        for target, plane in zip(made.planes, frame.planes, strict=True):
            np.copyto(target, plane)

    def _picture(self, frame: Frame) -> np.ndarray[Any, Any]:
        return frame.rgb(self._small).astype(np.float32)[None]

    def _encode(self) -> float:
        """The clip's first pictures forth and back, so that nothing jumps."""
        turn = [*range(len(self._frames)), *range(len(self._frames) - 2, 0, -1)] * 4
        with av.open(str(self._work / "encoded.mp4"), "w") as sink:
            out = sink.add_stream("libx264", rate=30, options={"preset": "veryfast"})
            out.width, out.height = self._frames[0].width, self._frames[0].height
            out.codec_context.thread_type = "AUTO"
            begin = time.perf_counter()
            for index, number in enumerate(turn):
                picture = self._frames[number].to_av()
                picture.pts, picture.time_base, picture.pict_type = index, Fraction(1, 30), 0
                sink.mux(out.encode(picture))
            sink.mux(out.encode(None))
            return len(turn) / (time.perf_counter() - begin)

    def _run(self, target: str) -> float:
        return streamseg.run(self._clip, target, overwrite=True, background="green", device=self._device).fps


# --- batches ----------------------------------------------------------------------------------

def roofline(nets: Sequence[Path], batches: Sequence[int], seconds: float, side: int) -> dict[str, Any]:
    """By net, precision and batch the pictures a second of .keras files on TensorFlow's device; the billions
    of operations that a picture takes; and those a second of a matrix product, ``side`` squared."""
    import keras
    import tensorflow as tf

    products: dict[str, float] = {}
    for precision in PRECISIONS:
        products[precision] = round(_product(tf, precision, seconds, side) / 1e9, 1)
    found: dict[str, Any] = {}
    for path in nets:
        model = keras.saving.load_model(path, compile=False)
        gflop = round(_operations(tf, model, (1, *PICTURE)) / 1e9, 3)
        found[path.stem] = {"gflop": gflop}
        for precision in PRECISIONS:
            # grappler's rewrite: convolutions in half precision, what needs the range in single
            tf.config.optimizer.set_experimental_options({"auto_mixed_precision": precision == "float16"})
            rates = _by_batch(tf, model, batches, seconds)
            found[path.stem][precision] = {batch: {
                "pictures_a_second": rate, "of_product": round(rate * gflop / products[precision], 3)}
                for batch, rate in rates.items()}
    return {"device": [item.name for item in tf.config.list_physical_devices()],
            "product_gflops": products, "nets": found}


def _by_batch(tf: Any, model: Any, batches: Sequence[int], seconds: float) -> dict[str, float]:
    call = tf.function(lambda given: model(given, training=False))
    return {str(batch): _pictures_a_second(tf, call, (batch, *PICTURE), seconds) for batch in batches}


def _operations(tf: Any, model: Any, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one call, as TensorFlow's profiler counts them."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    concrete = tf.function(lambda given: model(given, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32))
    graph = convert_variables_to_constants_v2(concrete).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()).with_empty_output().build()
    return float(tf.compat.v1.profiler.profile(graph=graph, options=options).total_float_ops)


def _pictures_a_second(tf: Any, call: Any, shape: tuple[int, ...], seconds: float) -> float:
    given = tf.random.uniform(shape, 0, 255)
    call(given).numpy()  # builds the graph
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        call(given).numpy()  # .numpy() waits for the device
        count += shape[0]
    return round(count / spent, 1)


def _product(tf: Any, precision: str, seconds: float, side: int) -> float:
    """Operations a second of a square matrix product."""
    left = tf.cast(tf.random.normal((side, side)), precision)
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(left, left)))
    multiply().numpy()
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        multiply().numpy()
        count += 1
    return count * 2 * side ** 3 / spent


# --- all together -----------------------------------------------------------------------------

def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``limits`` and ``limits.batches``."""
    lines = [(name, f"{row['fps']['median']:.0f}", f"{1e3 / row['fps']['median']:.2f}",
              row.get("limit", ""), shown(row["ratio"]) if "ratio" in row else "")
             for name, row in result["rows"].items()]
    found = {"limits": Table(("", "a second", "ms", "of which limit", "ratio (min to max)"), lines)}
    batches = result.get("batches")
    head = ("net", "precision", "batch", "pictures a second", "of the largest matrix product")
    found["limits.batches"] = Table(head, [("not measured", "", "", "", "")] if not batches else [
        (name, precision, batch, f"{row['pictures_a_second']:.0f}", f"{row['of_product']:.3f}")
        for name, net in batches["nets"].items() for precision in PRECISIONS
        for batch, row in net[precision].items()])
    return found


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("limits", __doc__, repeats=5, device=True)
    bench.parser.add_argument("--clip", type=Path, help="measure with this clip instead of a made one")
    bench.parser.add_argument("--batches", type=int, nargs="+", help="also the net alone in Keras with these "
                              "batches; with --device gpu 1 8 32 128")
    bench.parser.add_argument("--nets", type=Path, nargs="+", default=[], metavar="FILE.keras",
                              help="other nets that are given the batches, as other programs have them")
    chosen = bench.parse(words)
    seconds = 0.02 if chosen.quick else 1.0
    with folder_and_clip(chosen.clip, quick=chosen.quick) as (work, clip):
        kernels = Kernels(clip, work, chosen.device, seconds)
        try:
            values = interleaved(kernels.tasks(), chosen.repeats)
        finally:
            kernels.close()
    rows: dict[str, Any] = {name: {"fps": summary(fps)} for name, fps in values.items()}
    for name, limit in LIMIT_OF.items():
        rows[name] |= {"limit": limit, "ratio": ratios(values[name], values[limit])}
    batches = chosen.batches or ([1, 8, 32, 128] if chosen.device == "gpu" else None)
    side = 4096 if chosen.device == "gpu" else 256 if chosen.quick else 1024
    result = {"device": chosen.device, "rows": rows,
              "batches": None if batches is None else roofline([built_in("keras"), *chosen.nets], batches,
                                                               seconds, side)}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
