"""Animations play as long as what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamseg.api import run
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.source import open_source
from tests import clips, stills

from .sink_tools import about, made, write

DELAYS = (100, 200, 300, 700)


def delays(path: Path) -> list[int]:
    """Milliseconds of each picture, as OpenCV's reader of animations sees them."""
    found = cv2.Animation()
    good, found = cv2.imreadanimation(str(path))
    assert good
    return [int(delay) for delay in np.ravel(found.durations)]


def lasting(lengths: Sequence[int], start: int = 0) -> list[Frame]:
    frames = made(count=len(lengths), time_base=Fraction(1, 1000),
                  pts=[start + sum(lengths[:number]) for number in range(len(lengths))])
    return [replace(frame, duration=length) for frame, length in zip(frames, lengths, strict=True)]


@pytest.mark.parametrize("kind", ["composite", "matte"])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("start", [0, 500])
def test_each_picture_is_shown_as_long_as_it_was(tmp_path: Path, suffix: str, kind: str, start: int) -> None:
    frames = lasting(DELAYS, start)
    if kind == "matte":
        frames = [replace(frame, planes=frame.planes[:1], format="gray") for frame in frames]
    out = write(open_sink(tmp_path / f"o{suffix}", about(frames, variable_rate=True), kind=kind), frames)
    assert delays(out.path) == list(DELAYS)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_read_and_written_again_has_the_same_delays(tmp_path: Path, suffix: str) -> None:
    path = stills.animation(tmp_path / f"a{suffix}", frames=4, delays=DELAYS)
    source = open_source(path)
    frames = list(source)
    for target in (".gif", ".webp", ".apng"):
        out = write(open_sink(tmp_path / f"o{target}", source.info), frames)
        assert delays(out.path) == list(DELAYS)
    source.close()


def test_pictures_that_are_alike_are_shown_together_as_long(tmp_path: Path) -> None:
    first, *rest = lasting([100, 200, 300, 700])
    frames = [first, *(replace(frame, planes=rest[0].planes) for frame in rest)]
    out = write(open_sink(tmp_path / "o.webp", about(frames, variable_rate=True)), frames)
    assert delays(out.path) == [100, 1200]


def test_a_last_picture_of_minutes_is_shown_for_minutes(tmp_path: Path) -> None:
    frames = lasting([100, 100, 200_000])
    out = write(open_sink(tmp_path / "o.apng", about(frames, variable_rate=True)), frames)
    assert delays(out.path) == [100, 100, 200_000]


@pytest.mark.parametrize(("rate", "hasty"), [(25, 0), (50, 0), (60, 4), (100, 11)])
def test_a_gif_too_fast_for_its_delays_says_so_with_the_remedy(tmp_path: Path, rate: int, hasty: int) -> None:
    frames = made(time_base=Fraction(1, rate), pts=range(12))
    info = about(frames, rate=Fraction(rate))
    notes = " ".join(write(open_sink(tmp_path / "o.gif", info), frames).notes)
    assert (f"{hasty} of 12 pictures are shown for 1/100 s" in notes) == (hasty > 0)
    assert ("--cfr 50" in notes) == (hasty > 0)
    mended = write(open_sink(tmp_path / "m.gif", info, options=Options(cfr=Fraction(50))), frames)
    assert "1/100 s" not in " ".join(mended.notes)


@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("target", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("source", [".gif", ".webp", ".png"])
def test_an_animation_plays_as_often_as_the_one_it_is_made_of(tmp_path: Path, source: str, target: str, plays: int
                                                             ) -> None:
    """Pillow writes and reads; GIF alone counts repetitions."""
    pictures = [Image.fromarray(clips.picture(number)) for number in range(3)]
    loop = {} if source == ".gif" and plays == 1 else {"loop": plays - 1 if source == ".gif" and plays else plays}
    pictures[0].save(tmp_path / f"a{source}", save_all=True, append_images=pictures[1:], duration=100, **loop)
    run(tmp_path / f"a{source}", tmp_path / f"o{target}", method="threshold", background="green")
    with Image.open(tmp_path / f"o{target}") as made:
        found = made.info.get("loop")
    if target == ".gif":
        found = 1 if found is None else found + 1 if found else 0
    assert found == plays


@pytest.mark.parametrize("target", [".gif", ".webp", ".apng"])
def test_an_animation_of_a_video_plays_for_ever(tmp_path: Path, target: str) -> None:
    run(clips.video(tmp_path / "a.mkv", frames=3), tmp_path / f"o{target}", method="threshold", background="green")
    with Image.open(tmp_path / f"o{target}") as made:
        assert made.info["loop"] == 0
