"""`streamseg.run` inside other programs: several at a time, in asyncio, in a notebook, in processes of every kind."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import multiprocessing
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import streamseg
from streamseg.errors import SourceError
from tests import clips

FRAMES = 20
PATIENCE = 120  # seconds that a process gets
METHODS = ("threshold", "person")  # the second computes a network


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("inside") / "clip.mp4", frames=FRAMES, size=(256, 192), audio=True)


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamseg-")]


def descriptors() -> int:
    """How many files are open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]


def run(source: Any, matte: Path, method: str) -> int:
    return streamseg.run(source, matte=str(matte), method=method).frames


def same(first: Path, second: Path) -> bool:
    """FFV1: what was computed is what is in the file."""
    return all(np.array_equal(one, other) for one, other in zip(pictures(first), pictures(second), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_runs_at_a_time_give_what_each_gives_alone(clip: Path, tmp_path: Path, method: str) -> None:
    run(clip, tmp_path / "alone.mkv", method)
    before, opencv = descriptors(), cv2.getNumThreads()
    error = os.fstat(2)
    with ThreadPoolExecutor(3) as pool:
        frames = list(pool.map(lambda number: run(clip, tmp_path / f"{number}.mkv", method), range(3)))
    assert frames == [FRAMES] * 3
    assert all(same(tmp_path / "alone.mkv", tmp_path / f"{number}.mkv") for number in range(3))
    assert cv2.getNumThreads() == opencv
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (error.st_dev, error.st_ino)  # no exchange of standard error
    assert descriptors() <= before
    assert alive() == []


def test_a_run_that_fails_leaves_the_one_beside_it_alone(clip: Path, tmp_path: Path) -> None:
    def broken() -> Any:
        for number in range(5):
            yield clips.picture(number)
        raise OSError(5, "the disk is failing")

    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(run, clip, tmp_path / "whole.mkv", "threshold")
        for _ in range(3):
            with pytest.raises(SourceError, match="the disk is failing"):
                pool.submit(run, broken(), tmp_path / "broken.mkv", "threshold").result(PATIENCE)
        assert whole.result(PATIENCE) == FRAMES
    assert [item.name for item in tmp_path.iterdir()] == ["whole.mkv"]


def test_in_asyncio_the_loop_goes_on_and_a_cancelled_wait_harms_nothing(clip: Path, tmp_path: Path) -> None:
    async def main() -> tuple[list[int], int]:
        ticks = 0

        async def ticking() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(ticking())
        frames = await asyncio.gather(*(asyncio.to_thread(run, clip, tmp_path / f"{number}.mkv", "threshold")
                                        for number in range(2)))
        beside.cancel()
        return frames, ticks

    frames, ticks = asyncio.run(main())
    assert frames == [FRAMES] * 2
    assert ticks > 1
    assert same(tmp_path / "0.mkv", tmp_path / "1.mkv")


class Cell(io.StringIO):
    """Standard input or output as a notebook has it: there is no descriptor behind it."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["cell", "none"])
def test_in_a_notebook_or_without_a_console(clip: Path, tmp_path: Path, method: str, kind: str,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, Cell() if kind == "cell" else None)
    frames = run(clip, tmp_path / "out.mkv", method)
    file = io.BytesIO()
    streamseg.run(clip, file, format="mp4", method=method)
    said = [getattr(sys, name).getvalue() if kind == "cell" else "" for name in ("stdout", "stderr")]
    monkeypatch.undo()
    assert frames == FRAMES
    assert said == ["", ""]
    with pytest.raises(SourceError, match="standard input"), monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Cell() if kind == "cell" else None)
        streamseg.run("-", tmp_path / "from-stdin.mp4")


def child(clip: Path, target: Path, method: str, options: streamseg.Options | None = None) -> None:
    """What a process does; it ends with another code than 0 where it hangs or fails."""
    faulthandler.dump_traceback_later(PATIENCE - 20, exit=True)
    assert run(clip, target, method) == FRAMES
    if options is not None:
        assert options.background == "blur"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_in_processes_that_are_spawned_or_forked(clip: Path, tmp_path: Path, method: str, way: str) -> None:
    """The parent has run before: its pools of threads (OpenCV's, the network's) do not exist in a forked child."""
    run(clip, tmp_path / "parent.mkv", method)
    context = multiprocessing.get_context(way)
    children = [context.Process(target=child, args=(clip, tmp_path / f"{number}.mkv", method,
                                                    streamseg.Options(background="blur", cfr="30000/1001")))
                for number in range(2)]
    for process in children:
        process.start()
    for process in children:
        process.join(PATIENCE)
    codes = [process.exitcode for process in children]
    for process in children:
        process.kill()
    assert codes == [0, 0]
    assert all(same(tmp_path / "parent.mkv", tmp_path / f"{number}.mkv") for number in range(2))


def test_options_travel_between_processes() -> None:
    options = streamseg.Options(background="#102030", set={"block": 15}, rate="30000/1001", threads=3)
    assert pickle.loads(pickle.dumps(options)) == options
