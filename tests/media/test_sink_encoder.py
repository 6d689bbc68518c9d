"""What the encoder's settings make of the pictures, and what it refuses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from streamseg.options import Options
from streamseg.sink import open_sink

from .sink_tools import about, made, write


@pytest.mark.parametrize(("codec", "name"), [
    ("prores_ks", "o.mov"), ("mpeg4", "o.mkv"), ("mjpeg", "o.mkv"), ("mpeg2video", "o.mkv"),
    ("mpeg4", "o.avi")])
def test_quality_is_taken_by_the_encoders_with_a_quantiser(tmp_path: Path, codec: str, name: str) -> None:
    frames = made("yuv420p", 6, pts=range(6), time_base=Fraction(1, 30))
    sizes = [write(open_sink(tmp_path / f"{quality}{name}", about(frames),
                             options=Options(codec=codec, quality=quality)), frames).size
             for quality in (0, 50, 100)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] > 1.2 * sizes[0]
