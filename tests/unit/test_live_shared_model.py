"""Several cameras in one process: one net, whose computations follow one another, and nothing of each other's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame, VideoInfo
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.live.embedded import EmbeddedSession
from streamseg.live.options import LiveOptions
from streamseg.live.run import run
from streamseg.live.shared_model import SharedModel
from streamseg.options import Options
from streamseg.segment.model import load_model
from streamseg.segment.runtimes import pool
from streamseg.source import adapt_source
from streamseg.tools.demo import photo
from tests.unit.live_fakes import Keeper, ScriptedCamera

SIZES = ((160, 96), (128, 128))  # two cameras: the net gets a size of its own for each
OPTIONS = Options(method="person", background="#ff0000", smooth="none", threads=2)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nets that are opened: medium or large, which is asked where medium is in doubt."""
    made: list[str] = []
    real = pool.open_net

    def counting(path: Path, *of: Any) -> Any:
        made.append(path.name.split("-")[1].removesuffix(path.suffix))
        return real(path, *of)

    monkeypatch.setattr(pool, "open_net", counting)
    return made


def camera(size: tuple[int, int]) -> tuple[ScriptedCamera, Keeper]:
    """Four pictures of a person, each a little further to the right, each when the one before is out; and what takes
    the results."""
    width, height = size
    rgb = cv2.resize(photo().rgb, size, interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    frames = [Frame((np.roll(luma, 4 * number, 1), chroma, chroma), "yuv420p", Fraction(1, 30), number, number,
                    Colour(6, 1)) for number in range(4)]
    out = Keeper()

    def wait(number: int) -> None:
        for _ in range(3000):
            if len(out.pictures) > number:
                return
            ticks.wait(0.01)
        raise AssertionError("a picture did not come out")

    ticks = threading.Event()
    info = VideoInfo(width, height, "yuv420p", Fraction(1, 30), Fraction(30), colour=Colour(6, 1), live=True, name="x")
    return ScriptedCamera(frames, info, before=wait), out


def pictures(size: tuple[int, int], shared: SharedModel | None) -> list[np.ndarray]:
    source, out = camera(size)
    EmbeddedSession(adapt_source(source), out, options=OPTIONS, live=LiveOptions(rest=False, adapt=False),
                    shared=shared).run()
    return [picture.planes[0] for picture in out.pictures]


def test_two_cameras_at_once_share_a_net_and_see_what_each_would_alone(opened: list[str]) -> None:
    alone = [pictures(size, None) for size in SIZES]
    assert sorted(opened) == ["large", "large", "medium", "medium"]
    opened.clear()
    shared = SharedModel(OPTIONS)
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda size: pictures(size, shared), SIZES))
    assert sorted(opened) == ["large", "medium"]
    for one, other in zip(alone, together, strict=True):
        assert len(one) == len(other) == 5
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
        assert 0.05 < (one[-1] != 81).mean() < 0.95  # the person before red
    assert len(pictures(SIZES[0], shared)) == 5  # the net outlives the sessions
    shared.close()
    with pytest.raises(Exception, match="the model was closed"):
        shared.session()


def test_a_loaded_model_serves_several_runs(opened: list[str]) -> None:
    """As a program does that has two cameras: run in two threads, with the model as the method."""
    cameras = [camera(size) for size in SIZES]
    with load_model(detail="medium", roi=False, threads=2) as model, ThreadPoolExecutor(2) as threads:
        options = replace(OPTIONS, method=model)
        reports = list(threads.map(lambda pair: run(pair[0], [pair[1]], options=options, live=LiveOptions()), cameras))
    assert sorted(opened) == ["large", "medium"]
    assert [report.frames for report in reports] == [5, 5]


def test_a_method_without_a_net_is_each_runs_own() -> None:
    shared = SharedModel(Options(method="threshold"))
    one, other = shared.session(), shared.session()
    assert one is not other
    shared.close()
