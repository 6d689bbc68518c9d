"""At least 200 mutated files: exit code 0 or 1, one line of error, never a traceback, a hang or a dead
process, and no partial file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from tests import clips, damage, stills, tiles

from . import test_source_clocks as clocks

SECONDS = 60  # for one run; a hang, not a slow machine
MUTATIONS = 9
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


def mutations(original: Path, folder: Path) -> Iterator[Path]:
    """27 broken copies: bytes changed (few in the head, many anywhere), cut short, pieces swapped."""
    for seed in range(MUTATIONS):
        name = f"{seed}{original.suffix}"
        if seed % 2:
            yield damage.flipped(original, folder / f"flip{name}", seed=seed, count=4 + 20 * seed)
        else:
            yield damage.flipped(original, folder / f"flip{name}", seed=seed, count=6, span=(0.0, 0.05))
        yield damage.truncated(original, folder / f"cut{name}", (seed + 0.5) / MUTATIONS)
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
            pytest.fail(f"{arguments}: the process ended with {code} (-9: it hung): "
                        f"{self._log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer["code"], answer["stderr"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._log.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_end_with_0_or_1_and_leave_nothing_behind(kind: str, tmp_path: Path):
    original = KINDS[kind](tmp_path / kind)
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    out.mkdir()
    target = out / ("result.png" if kind.startswith("picture") else "result.mkv")
    codes = []
    runner = Runner(tmp_path / "log")
    try:
        code, told = runner.run("run", str(original), "-o", str(target), "--method", "threshold", "--quiet")
        assert (code, told) == (0, ""), "the unbroken file must pass, or this test shows nothing"
        for number, broken in enumerate(mutations(original, work)):
            policy = ("stop", "skip")[number % 2]
            code, told = runner.run("run", str(broken), "-o", str(target), "--method", "threshold", "--quiet",
                                    "--overwrite", "--on-error", policy, "--timeout", "10")
            codes.append(code)
            assert code in (0, 1), f"{broken.name}: exit code {code}: {told}"
            assert "Traceback" not in told, f"{broken.name}: {told}"
            assert "internal error" not in told, f"{broken.name}: {told}"
            if code == 1:
                errors = [line for line in told.splitlines() if line.startswith("streamseg: error: ")]
                assert len(errors) == 1, f"{broken.name}: {told}"
            assert [path.name for path in out.iterdir() if path != target] == [], broken.name
    finally:
        runner.close()
    assert len(codes) == 3 * MUTATIONS
    assert 1 in codes, "no mutation was noticed"


def test_there_are_at_least_200_mutations():
    assert len(KINDS) * 3 * MUTATIONS >= 200
