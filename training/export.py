"""``python -m training.export --model best.keras --out DIR [--formats fp16 keras ...] [--data DIR] [--licence TEXT]``

Turns a trained net into files that ``streamseg run --model`` takes: weights frozen, preprocessing and the
last activation inside, so RGB 0..255 goes in and probabilities come out (alpha, or one channel a class).

    fp32    NAME-fp32.tflite    the net as it is
    fp16    NAME.tflite         weights of 16 bits: half the file; what is shipped
    int8    NAME-int8.tflite    weights and sums of 8 bits, their ranges found on pictures of --data
    keras   NAME.keras          layers of Keras alone, weights rounded to 16 bits; for a GPU and batches
    onnx    NAME.onnx           any size and batch; needs the packages tf2onnx and onnxruntime

A .tflite file of our family has one graph, which streamseg changes to the size it wants (runtimes/resized.py); of
another family one signature ``HxW`` for each size, weights shared. Each file is opened again, run on
pictures and compared with the net it was made from; one that differs by more than its format may
(TOLERANCES) is not kept. Each file describes itself: the model spec is written into it as metadata, which
``streamseg info FILE`` shows, so that it runs under any name. A net of another family than ours gets the spec as
NAME.json beside it, too, where it can be edited; SHA256SUMS lists all files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamseg.core import geometry
from streamseg.errors import OptionError, StreamsegError
from streamseg.segment.known_models import OWN
from streamseg.segment.model_file import embed
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.runtimes import open_net
from training.architectures import load_net
from training.commands import LEAST_BUDGET, at_least, command
from training.data import CLASSES_FILE, PictureSet, read_classes, read_index
from training.formats import (
    Pictures,
    Size,
    deployed,
    net_input,
    operations,
    round_weights,
    save_small,
    to_onnx,
    to_tflite,
)

FILES = {"fp32": "{}-fp32.tflite", "fp16": "{}.tflite", "int8": "{}-int8.tflite", "keras": "{}.keras",
         "onnx": "{}.onnx"}  # fmt: skip
CALIBRATION = 64  # pictures
# Operations that keep a file off the fast CPU kernels: variables still read, or an operation of no kernel.
SLOW = {"READ_VARIABLE", "VAR_HANDLE", "CUSTOM"}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a file's probabilities may be from the net's: at any pixel, and on average."""

    largest: float
    mean: float


# 32-bit files differ by the order of sums alone. Rounding weights to 16 bits after the norms are folded into
# them moves the few pixels that are undecided (measured: 0.015 at most, 0.0014 on average). 8 bits move more
# (0.92 at most, 0.005 on average): a spot of which a net is not sure may change sides.
TOLERANCES = {"fp32": Tolerance(1e-3, 1e-4), "onnx": Tolerance(1e-3, 1e-4), "fp16": Tolerance(0.05, 2e-3),
              "keras": Tolerance(0.05, 2e-3), "int8": Tolerance(1.0, 1e-2)}  # fmt: skip


def net_sizes(budgets: Sequence[int] | None = None) -> list[Size]:
    """The input sizes (height, width) that all files are checked at, and that a .tflite file of another family than
    ours serves: five shapes of each budget, by default ``geometry.usual_sizes``."""
    if budgets is None:
        return list(geometry.usual_sizes())
    return list(dict.fromkeys(geometry.net_size(height, width, budget)
                              for budget in budgets for height, width in geometry.ASPECTS))


def difference(path: Path, model: keras.Model, pictures: Pictures, sizes: list[Size]) -> Tolerance:
    """The largest and the mean difference of probability between a file, run as streamseg runs it, and a
    net that gives logits; over all ``pictures`` at every one of ``sizes``."""
    net = open_net(path, ModelSpec(range=(0.0, 255.0)), "auto", "cpu", 1)
    activation = keras.ops.sigmoid if model.output_shape[-1] == 1 else keras.ops.softmax
    largest, means = 0.0, []
    try:
        for size in sizes:
            for picture in pictures:
                values = net_input(picture, size)
                expected = keras.ops.convert_to_numpy(activation(model(values, training=False)))
                [given], _ = net.run([values])
                if given.shape != expected.shape:  # else the difference would be taken by broadcasting
                    raise OptionError(f"{path.name} gives {given.shape} where the net gives "
                                      f"{expected.shape}: the file is not kept; export it again")
                wrong = np.abs(given - expected)
                largest = max(largest, float(wrong.max()))
                means.append(float(wrong.mean()))
    finally:
        net.close()
    return Tolerance(largest, float(np.mean(means)))


def export(model: keras.Model, out: Path, name: str, formats: list[str], *, sizes: list[Size],
           checks: Pictures, calibration: Pictures | None = None, spec: ModelSpec | None = None) -> list[Path]:
    """Writes the files of ``formats``, ``spec`` inside (default: spec_for), and checks each on the pictures
    ``checks``; returns them.

    Raises OptionError, with the file removed, where variables are left in it or it differs from the net
    by more than its format may, and MissingDependencyError where nothing is there to try it with.
    """
    out.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[Path], None]] = {
        "keras": lambda path: _save_rounded(model, path),
        "onnx": lambda path: to_onnx(deployed(model), path),
    }
    written = []
    for format in formats:
        path = out / FILES[format].format(name)
        try:
            if format in makers:
                makers[format](path)
            else:
                path.write_bytes(to_tflite(model, sizes, format, calibration))
            embed(path, spec or spec_for(model))
            _check(path, format, model, checks, sizes)
        except StreamsegError:
            path.unlink(missing_ok=True)
            raise
        written.append(path)
    return written


def _save_rounded(model: keras.Model, path: Path) -> None:
    twin = deployed(model)
    round_weights(twin)
    save_small(twin, path)


def _check(path: Path, format: str, model: keras.Model, pictures: Pictures, sizes: list[Size]) -> None:
    if path.suffix == ".tflite" and (slow := SLOW & operations(path.read_bytes())):
        raise OptionError(f"{', '.join(sorted(slow))} left in {path.name}: it would miss the fast kernels")
    found, allowed = difference(path, model, pictures, sizes), TOLERANCES[format]
    told = (f"{path.name} differs from the net by {found.largest:.1e} at most (allowed {allowed.largest:g}), "
            f"{found.mean:.1e} on average (allowed {allowed.mean:g})")  # fmt: skip
    print(f"{told}; {path.stat().st_size / 1e6:.2f} MB", flush=True)
    # Turned round, so that not-a-number is too much.
    if not (found.largest <= allowed.largest and found.mean <= allowed.mean):
        raise OptionError(f"{told}: the file is not kept (made-up pictures, of which a net is seldom sure, "
                          "differ most: --data DIR tries it on a set's)")


def spec_for(model: keras.Model, classes: list[str] | None = None, licence: str | None = None) -> ModelSpec:
    """What the files of a net want and give: RGB 0..255 in, probabilities out."""
    spec = OWN if is_person_net(model) else ModelSpec(range=(0.0, 255.0))
    return replace(spec, name=model.name, classes=tuple(classes) if classes else None, licence=licence)


def is_person_net(model: keras.Model) -> bool:
    """Whether a net is of our family, by what it is called inside: training.architectures names it."""
    return bool(model.name.startswith("person-"))


def write_spec(path: Path, classes: list[str] | None) -> Path:
    """The model spec beside an exported file, which ``--model`` finds by itself; returns its path."""
    values: dict[str, Any] = {"range": [0, 255]} | ({"classes": classes} if classes else {})
    spec = path.with_suffix(".json")
    spec.write_text(json.dumps(values) + "\n", encoding="utf-8")
    return spec


def write_sums(folder: Path) -> None:
    """SHA256SUMS of the model files in ``folder``, as ``sha256sum --check`` reads it."""
    models = [path for path in sorted(folder.iterdir()) if path.suffix in {".tflite", ".keras", ".onnx"}]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in models]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def blotches(count: int) -> Pictures:
    """Pictures of random colours that run into each other: smooth enough to be like pictures."""
    rng = np.random.default_rng(0)
    return [geometry.resize(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (360, 360))
            for _ in range(count)]  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.export", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--model", type=Path, required=True, help=".keras that gives logits, of training.train")
    own.add_argument("--out", type=Path, required=True)
    own.add_argument("--name", help="of the files, without ending; default: the net's own, as person-medium")
    own.add_argument("--licence", help="of the weights, written into the files, as MIT")
    own.add_argument("--formats", nargs="+", choices=tuple(FILES), default=["fp16", "keras"])
    own.add_argument("--data", type=Path, help="set (index.csv): int8 is calibrated on its train pictures, "
                     "all are checked on its val pictures; its classes.csv names a many-class net's channels")
    own.add_argument("--budget", type=at_least(LEAST_BUDGET), nargs="+",
                     help="pixels of the input; sizes of each are put into the file")
    return own


def _pictures(data: Path, split: str, count: int) -> Pictures:
    """``count`` pictures spread over a split of a set."""
    rows = read_index(data, split)
    pictures = PictureSet(data, rows[:: max(1, len(rows) // count)][:count])
    return [pictures[i][0] for i in range(len(pictures))]


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    if "int8" in args.formats and args.data is None:
        raise OptionError("int8 is calibrated on pictures: give --data DIR, or leave int8 out of --formats")
    model = load_net(args.model)
    name = args.name or model.name
    stated = model.input_shape[1:3]
    sizes = net_sizes(args.budget) if None in stated else [stated]
    named = args.data and model.output_shape[-1] > 1 and (args.data / CLASSES_FILE).is_file()
    classes = [item.name for item in read_classes(args.data)] if named else None
    written = export(
        model, args.out, name, args.formats, sizes=sizes, spec=spec_for(model, classes, args.licence),
        checks=_pictures(args.data, "val", 4) if args.data else blotches(2),
        calibration=_pictures(args.data, "train", CALIBRATION) if "int8" in args.formats else None,
    )  # fmt: skip
    if not is_person_net(model):
        for stem in sorted({path.with_suffix("") for path in written}):
            print(f"{write_spec(stem.with_suffix('.json'), classes).name}: model spec")
    write_sums(args.out)


if __name__ == "__main__":
    main()
