"""The median of method plate: of the clip as the run reads it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import streamseg
from streamseg.segment import create_segmenter
from tests import clips, damage
from tests.unit import scenes


def found(path: Path, **options: Any) -> list[Any]:
    pairs = streamseg.mattes(path, method="plate", smooth="none", every="1", **options)
    return [matte.alpha > 0.5 for _, matte in pairs]


def two_streams(path: Path, *contents: list[Any]) -> Path:
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("ffv1", rate=25) for _ in contents]
        for track, pictures in zip(tracks, contents, strict=True):
            track.height, track.width = pictures[0].shape[:2]
            track.pix_fmt = "yuv420p"
        for track, pictures in zip(tracks, contents, strict=True):
            for index, rgb in enumerate(pictures):
                frame = clips.as_frame(rgb, (track.width, track.height), "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(track.encode(frame))
            out.mux(track.encode(None))
    return path


def test_the_median_is_of_the_stream_that_was_chosen(tmp_path: Path) -> None:
    crossing = scenes.crossing(30, before=14)
    shown = [rgb for rgb, _ in crossing]
    path = two_streams(tmp_path / "two.mkv", shown, [255 - rgb for rgb in shown])
    for stream in range(2):  # one of them is FFmpeg's best
        mattes = found(path, stream=stream, set={"exposure": False})
        for number in range(16, 30, 5):
            assert clips.iou(mattes[number], crossing[number][1]) > 0.9


def test_the_median_is_deinterlaced_where_the_run_is(tmp_path: Path) -> None:
    def fields(index: int) -> Any:  # bwdif makes the flickering field anew, from the other
        woven = np.full((120, 160, 3), 128, np.uint8)
        woven[::2] = 255 * (index % 2)
        return woven

    path = clips.video(tmp_path / "fields.mkv", interlaced=True, content=fields, frames=11,
                       options={"qp": "0"})
    params = {"blur": 1, "exposure": False}
    assert np.all([matte[::2].all() for matte in found(path, set=params)[1::2]])  # the median is black there
    assert not np.any(found(path, set=params, deinterlace=True)[2:-2])  # at the ends bwdif knows less


def test_the_median_skips_what_the_run_skips(tmp_path: Path) -> None:
    whole = clips.video(tmp_path / "whole.mkv", frames=30)
    path = damage.truncated(whole, tmp_path / "cut.mkv")
    assert 5 < len(found(path, on_error="skip")) < 30


def test_a_clip_of_its_own_is_not_read_as_the_run_reads(tmp_path: Path) -> None:
    empty = clips.video(tmp_path / "empty.mkv", codec="ffv1", frames=3,
                        content=lambda index: np.full((120, 160, 3), 200, np.uint8))
    create_segmenter("plate", {"clip": str(empty)}, clip=None, stream=1, deinterlace=False, on_error="stop").close()


class Cautious:
    """A method with a setting that has a name of READING and another meaning: it takes no clip."""

    def __init__(self, on_error: str = "warn") -> None:
        self.on_error = on_error

    def segment(self, frames: Any) -> Any: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


def test_how_the_clip_is_read_is_told_to_those_alone_who_take_it() -> None:
    method: Any = create_segmenter(f"{__name__}:Cautious", clip="a.mp4", on_error="stop")
    assert method.original.on_error == "warn"
