"""Iterables of arrays and of Frames as inputs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import Colour
from streamseg.errors import SourceError
from streamseg.options import Options
from streamseg.source import open_source
from tests import clips


def read(items: Any, **options: Any) -> tuple[Any, list[Frame]]:
    source = open_source(items, Options(**options))
    return source, list(source)


@pytest.mark.parametrize("unit", [1, 257])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_come_exactly(channels: int, unit: int) -> None:
    rng = np.random.default_rng(channels)
    shape = (30, 41) if channels == 1 else (30, 41, channels)
    pictures = [(rng.integers(0, 256, shape) * unit).astype(np.uint8 if unit == 1 else np.uint16)
                for _ in range(3)]
    source, frames = read(pictures)
    assert source.info.format == ("gbrp" if unit == 1 else "gbrp16le")
    assert source.info.has_alpha == (channels == 4)
    assert (source.info.width, source.info.height, source.info.frames) == (41, 30, 3)
    for frame, picture in zip(frames, pictures, strict=True):
        green, blue, red = frame.planes
        found = red if channels == 1 else np.dstack([red, green, blue, *([frame.alpha] * (channels == 4))])
        assert np.array_equal(found, picture)
        if channels == 1:
            assert np.array_equal(green, picture)
            assert np.array_equal(blue, picture)


def test_a_producer_may_reuse_its_buffer() -> None:
    def pictures(shape: tuple[int, ...]) -> Any:
        buffer = np.zeros(shape, np.uint8)
        for value in range(4):
            buffer[:] = value
            yield buffer

    for shape in ((20, 30, 3), (20, 30)):
        _, frames = read(pictures(shape))
        assert [int(frame.planes[0].max()) for frame in frames] == [0, 1, 2, 3]


def test_the_rate_gives_the_times_and_the_window_cuts() -> None:
    source, frames = read((clips.picture(number) for number in range(30)), rate="10", start=1, duration=0.5)
    assert source.info.rate == 10
    assert [clips.read_index(frame.rgb()) for frame in frames] == [10, 11, 12, 13, 14]
    assert [frame.time for frame in frames] == [Fraction(number, 10) for number in range(5)]
    assert read([clips.picture(0)])[0].info.rate == 25


def test_frames_keep_their_times_and_colours() -> None:
    planes = tuple(np.zeros(shape, np.uint8) for shape in ((6, 8), (3, 4), (3, 4)))
    given = [Frame(planes, "yuv420p", Fraction(1, 1000), 5 + place, pts, Colour(1, 1, 1, 1))
             for place, pts in enumerate([0, 17, 90])]
    source, frames = read(given)
    assert [frame.pts for frame in frames] == [0, 17, 90]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert source.info.colour == Colour(1, 1, 1, 1)
    assert source.info.time_base == Fraction(1, 1000)


GOOD = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(("items", "message"), [
    ([GOOD.astype(np.float32)], r"item 0 .* is float32 of shape \(20, 30, 3\); it must be uint8"),
    ([np.zeros((20, 30, 2), np.uint8)], r"of shape \(20, 30, 2\)"),
    ([np.zeros((0, 30, 3), np.uint8)], r"of shape \(0, 30, 3\)"),
    ([np.zeros(20, np.uint8)], r"of shape \(20,\)"),
    (["a string"], "item 0 of the iterable is str"),
    ([GOOD, GOOD, np.zeros((20, 31, 3), np.uint8)], "item 2 of the iterable is 31 x 20"),
    (GOOD, "one picture: put it into a list"),
    ([], "the iterable has no picture"),
    (3, "input is int; it must be a path"),
])
def test_what_is_wrong_with_an_iterable_is_said(items: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(items)


def test_closing_ends_the_generator() -> None:
    ended = []

    def pictures() -> Any:
        try:
            while True:
                yield GOOD
        finally:
            ended.append(True)

    source = open_source(pictures())
    next(iter(source))
    source.close()
    source.close()
    assert ended == [True]
