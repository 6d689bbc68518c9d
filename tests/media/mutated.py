"""Mutated files: the files that are broken, how they are broken, and one run on each.

test_mutations takes a few hundred each time. For more, of other seeds, by hand:

    nice -n 10 python -m tests.media.mutated FIRST_SEED SEEDS [KIND ...]

It runs three files a seed and kind, of all kinds unless some are named, and ends with the counts; the faults are
printed as they are found, and their files stay in the folder that is named at the end.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from tests import clips, damage, stills, tiles

from . import test_marks as marks
from . import test_source_clocks as clocks
from . import test_source_untimed as untimed
from . import test_source_wrap as wraps

SECONDS = 60  # for one run; a hang, not a slow machine
STEPS = 9  # a file is cut at as many places, whatever the seed
KINDS: dict[str, Callable[[Path], Path]] = {
    "h264.mp4": lambda path: clips.video(path, audio=True),
    "subtitles.mkv": lambda path: clips.video(path, audio=True, subtitles=True),
    "vp9.webm": lambda path: clips.video(path, audio=True),
    "prores.mov": lambda path: clips.video(path, codec="prores_ks", pix_fmt="yuv422p10le"),
    "mpeg4.avi": lambda path: clips.video(path, audio=True),
    "animation.gif": lambda path: stills.animation(path),
    "vp8.webm": lambda path: clips.video(path, codec="libvpx", colour={"matrix": 1, "range": 2}),
    "animation.avif": lambda path: avif(path, 5),
    "picture.avif": lambda path: avif(path, 1),
    "picture.png": lambda path: stills.image(path),
    "picture.jpg": lambda path: stills.image(path),
    "picture_tiled.heic": lambda path: tiled_heic(path, clips.picture(0, (256, 192)), 2, 2, turn=1, thumbnail=True),
    "picture_tiled.avif": lambda path: tiles.tiled(path, clips.picture(0, (256, 192)), 2, 2, turn=1, thumbnail=True),
    "picture.ico": lambda path: by_pillow(path, sizes=[(32, 24), (64, 48)]),
    "film.jpg": lambda path: one_after_another(path),
    "film.png": lambda path: one_after_another(path),
    "film.ppm": lambda path: one_after_another(path),
    "raw.m2v": lambda path: clips.video(path, codec="mpeg2video", format="mpeg2video"),
    "raw.h264": lambda path: clips.resolution_change(path),
    "jump.ts": lambda path: moved(path),
    "jump.mkv": lambda path: moved(path),
    "sound.ts": lambda path: clips.video(path, audio=True),
}
FURTHER: dict[str, Callable[[Path], Path]] = {  # too many for each time
    "raw.hevc": lambda path: untimed.raw(path, "libx265", frames=12, **{"x265-params": "log-level=none"}),
    "raw.mjpeg": lambda path: untimed.raw(path, "mjpeg", frames=12),
    "picture_half.exr": lambda path: ffmpeg(path, "-vf", "format=gbrapf32", "-format", "half", "-compression", "zip16"),
    "picture_float.exr": lambda path: ffmpeg(path, "-vf", "format=gbrpf32", "-compression", "rle"),
    "picture_piz.exr": lambda path: open_exr(path, "PIZ_COMPRESSION"),
    "picture_dwaa.exr": lambda path: open_exr(path, "DWAA_COMPRESSION"),
    "picture_pages.tiff": lambda path: by_pillow(path, save_all=True, compression="tiff_lzw", append_images=[
        Image.fromarray(clips.picture(1, (80, 60))), Image.fromarray(clips.picture(2))]),
    "picture_jpeg.tiff": lambda path: by_pillow(path, compression="jpeg"),
    "picture_float.tiff": lambda path: floats(path),
    "animation.webp": lambda path: stills.animation(path, alpha=True),
    "animation.apng": lambda path: stills.animation(path, alpha=True),
    "hidden.mp4": lambda path: with_an_edit_list(path),
    "hidden.mov": lambda path: with_an_edit_list(path),
    "wrap.ts": lambda path: wraps.wrapping(clips.video(path.with_name("plain.mkv"), audio=True), path, 0.2),
    "captions.mp4": lambda path: marks.captioned(path),
    "captions.ts": lambda path: marks.captioned(path),
    "stereo.mkv": lambda path: ffmpeg(path, "-t", "0.4", "-metadata:s:v", "stereo_mode=left_right"),
    "sphere.mp4": lambda path: sphere(path),
    "alpha.webm": lambda path: clips.video(path, codec="libvpx-vp9", pix_fmt="yuva420p", alpha=True),
}


def tiled_heic(path: Path, *how: Any, **more: Any) -> Path:
    """Read by libheif, which users need not have."""
    pytest.importorskip("pi_heif", reason="libheif is not installed: pip install '.[heif]'")
    return tiles.tiled(path, *how, **more)


def avif(path: Path, frames: int) -> Path:
    """With alpha, a stream of its own."""
    if not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    made = [Image.fromarray(np.dstack([clips.picture(index), clips.truth(index).astype(np.uint8) * 255]))
            for index in range(frames)]
    made[0].save(path, save_all=True, append_images=made[1:], duration=40)
    return path


def by_pillow(path: Path, **more: Any) -> Path:
    Image.fromarray(clips.picture(0)).save(path, **more)
    return path


def floats(path: Path) -> Path:
    Image.fromarray(clips.picture(0)[:, :, 1] / np.float32(255)).save(path, compression="tiff_lzw")
    return path


def ffmpeg(path: Path, *options: str) -> Path:
    """A plain film, or its first picture, written anew by ffmpeg."""
    plain = clips.video(path.with_name(f"{path.stem}_plain.mkv"), frames=1 if path.suffix == ".exr" else 10)
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, *options, path], check=True)
    return path


def open_exr(path: Path, compression: str) -> Path:
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    rgb = (clips.picture(0) / np.float32(255)).astype(np.float16)
    openexr.File({"compression": getattr(openexr, compression), "type": openexr.scanlineimage},
                 {"RGB": rgb}).write(str(path))
    return path


def with_an_edit_list(path: Path) -> Path:
    """Cut without encoding: the packets from the last key picture on are there, and hidden."""
    whole = clips.video(path.with_name(f"whole{path.suffix}"), frames=30, audio=True, gop=25, b_frames=0)
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "0.6", "-i", whole, "-c", "copy", path], check=True)
    return path


def sphere(path: Path) -> Path:
    clips.video(path, size=(128, 64), frames=6, options={"movflags": "+faststart"})
    marks.inject_sphere(path)
    return path


def one_after_another(path: Path) -> Path:
    """Pictures in one file, which are a film."""
    parts = []
    for number in range(4):
        file = io.BytesIO()
        Image.fromarray(clips.picture(number)).save(file, {".jpg": "JPEG", ".png": "PNG", ".ppm": "PPM"}[path.suffix])
        parts.append(file.getvalue())
    path.write_bytes(b"".join(parts))
    return path


def moved(path: Path) -> Path:
    """A film with sound whose clock begins late and jumps ahead by an hour."""
    plain = clips.video(path.with_name(f"plain{path.suffix}"), audio=True, start_offset=100.0)
    return clocks.moved(plain, path, lambda _, time: 3600 if time > 100.2 else 0)


def mutations(original: Path, folder: Path, seeds: Iterable[int]) -> Iterator[Path]:
    """Three broken copies a seed: bytes changed (few in the head, many anywhere), cut short, pieces swapped."""
    for seed in seeds:
        name, step = f"{seed}{original.suffix}", seed % STEPS
        if seed % 2:
            yield damage.flipped(original, folder / f"flip{name}", seed=seed, count=4 + 20 * step)
        else:
            yield damage.flipped(original, folder / f"flip{name}", seed=seed, count=6, span=(0.0, 0.05))
        within = 0.5 if seed < STEPS else float(np.random.default_rng(seed).random())
        yield damage.truncated(original, folder / f"cut{name}", (step + within) / STEPS)
        yield damage.swapped(original, folder / f"swap{name}", seed=seed)


class Runner:
    """The process of run_many. ``run`` gives (exit code, standard error), or fails the test by name."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.media.run_many"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True, bufsize=1)

    def run(self, *arguments: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        guard = threading.Timer(SECONDS, self._process.kill)
        guard.start()
        self._process.stdin.write(json.dumps(arguments) + "\n")
        line = self._process.stdout.readline()
        guard.cancel()
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            raise AssertionError(f"{arguments}: the process ended with {code} (-9: it hung): "
                                 f"{self._log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer["code"], answer["stderr"]

    def end(self) -> None:
        """Without waiting for it to finish in order."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._log.close()


def target_of(kind: str, out: Path) -> Path:
    """What a run on a file of this kind writes, in a folder of its own."""
    out.mkdir(exist_ok=True)
    return out / ("result.png" if kind.startswith("picture") else "result.mkv")


def ways(kind: str, target: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Outputs and options that a long run takes by turns: what copies sound and marks, cuts, and splits."""
    if kind.startswith("picture"):
        return [(target, ()), (target.with_suffix(".tiff"), ()),
                (target.with_suffix(".webp"), ("--background", "blur"))]
    cut = ("--start", "0.1", "--duration", "0.2")
    return [(target, ()), (target.with_suffix(".mp4"), ("--background", "green")), (target.with_suffix(".mov"), cut),
            (target.with_suffix(".ts"), ("--background", "green")), (target.with_suffix(".webp"), ()),
            (target.with_suffix(".mkv"), ("--background", "green", "--on-resize", "split")),
            (target.with_suffix(".mp4"), ("--background", "blur", "--on-resize", "largest"))]


def passes_whole(runner: Runner, original: Path, target: Path) -> None:
    code, told = runner.run("run", str(original), "-o", str(target), "--method", "threshold", "--quiet", "--overwrite")
    assert (code, told) == (0, ""), "the unbroken file must pass, or this test shows nothing"


def checked(runner: Runner, broken: Path, target: Path, policy: str, options: tuple[str, ...] = ()) -> int:
    """The exit code of a run on a broken file: 0 or 1, a line of error with it, and nothing left behind."""
    code, told = runner.run("run", str(broken), "-o", str(target), "--method", "threshold", "--quiet",
                            "--overwrite", "--on-error", policy, "--timeout", "10", *options)
    assert code in (0, 1), f"{broken.name}: exit code {code}: {told}"
    assert "Traceback" not in told, f"{broken.name}: {told}"
    assert "internal error" not in told, f"{broken.name}: {told}"
    if code == 1:
        errors = [line for line in told.splitlines() if line.startswith("streamseg: error: ")]
        assert len(errors) == 1, f"{broken.name}: {told}"
    left = [path.name for path in target.parent.iterdir() if path != target]
    assert all(re.fullmatch(r"result\.\d+\.mkv", name) for name in left if "split" in options), left
    assert "split" in options or not left, (broken.name, left)
    return code


def main(first: int, seeds: int, kinds: list[str]) -> int:
    place, faults, count = Path(tempfile.mkdtemp(prefix="mutated")), 0, {0: 0, 1: 0}
    for kind in kinds or [*KINDS, *FURTHER]:
        try:
            original = {**KINDS, **FURTHER}[kind](place / kind)
        except pytest.skip.Exception as why:
            print(f"{kind}: skipped: {why}", flush=True)
            continue
        work, target = place / f"{original.stem}_work", target_of(kind, place / f"{original.stem}_out")
        work.mkdir(exist_ok=True)
        runner = Runner(place / "log")
        passes_whole(runner, original, target)
        target.unlink()
        turns = ways(kind, target)
        for number, broken in enumerate(mutations(original, work, range(first, first + seeds))):
            try:
                output, options = turns[number % len(turns)]
                count[checked(runner, broken, output, ("stop", "skip")[number % 2], options)] += 1
                broken.unlink()
            except AssertionError as fault:
                faults += 1
                print(f"{broken}: {fault}", flush=True)
                runner.end()
                runner = Runner(place / "log")
            for made in target.parent.iterdir():  # after a fault, too: what is left is no fault of the next file
                made.unlink()
        runner.close()
        print(f"{kind}: so far {sum(count.values()) + faults} files, {faults} faults", flush=True)
    print(f"{sum(count.values()) + faults} files: {count[0]} exit code 0, {count[1]} exit code 1, {faults} faults"
          + (f": {place}" if faults else ""))
    if not faults:
        shutil.rmtree(place)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
