"""--show-stages and --steadiness: what each step makes of a matte, and one knob for how steady mattes are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.cli import cli
from streamseg.composite.stages_view import NAMES
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError
from streamseg.live.run import _smoother
from streamseg.options import Options, smoothing_of
from streamseg.smooth import frames_to_last

from . import scenes

WIDE, HIGH = scenes.WIDTH, scenes.HEIGHT


class Shivering:
    """The truth, with an edge that comes and goes, and a hole in every other frame."""

    def __init__(self) -> None:
        self._count = 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        made = []
        for _ in frames:
            self._count += 1
            alpha = scenes.truth(3.0 * (self._count % 2)).astype(np.float32)
            alpha[90:110, 110:140] *= 0.45 if self._count % 2 else 1.0
            made.append(Matte(alpha))
        return made

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 5)])
def test_a_picture_may_be_of_one_row_or_column(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    assert cv2.imwrite(str(tmp_path / "in.png"), picture)
    streamseg.run(tmp_path / "in.png", tmp_path / "o.png", method="threshold", show_stages=True)
    assert cv2.imread(str(tmp_path / "o.png")).shape == picture.shape


def still(count: int = 10) -> list[Any]:
    return [scenes.picture("dark", seed=index)[0] for index in range(count)]


def flicker(**options: Any) -> float:
    """Mean change of alpha from frame to frame of a scene that stands still."""
    mattes = [matte.alpha for _, matte in streamseg.mattes(still(), method=Shivering(), **options)]
    return float(np.mean([np.abs(one - other).mean() for one, other in pairwise(mattes)]))


@pytest.mark.parametrize("smooth", ["auto", "flow", "ema"])  # flow: what live takes
def test_more_steadiness_is_less_flicker_and_none_is_what_the_method_gives(smooth: str) -> None:
    raw = flicker(smooth="none")
    found = [flicker(steadiness=value, smooth=smooth) for value in (0.25, 0.5, 1.0)]
    assert raw > found[0] > found[1] > found[2]
    assert found[2] < 0.5 * raw
    assert flicker(steadiness=0.0) == raw


def test_the_middle_is_the_default() -> None:
    usual, middle = Options(), Options(steadiness=0.5)
    for name in smoothing_of(0.5):
        assert getattr(middle, name) == getattr(usual, name)
    assert frames_to_last(middle, network=True) == frames_to_last(usual, network=True) == 8
    assert frames_to_last(Options(steadiness=1.0), network=True) == 16
    assert frames_to_last(Options(steadiness=0.0), network=True) == 0
    assert frames_to_last(Options(steadiness=1.0), network=False) == 0
    assert frames_to_last(Options(steadiness=1.0, persistence=3), network=True) == 3


def test_what_it_sets_is_not_given_beside_it() -> None:
    with pytest.raises(OptionError, match=r"steadiness is 0\.8 and smooth_strength 0.3"):
        Options(steadiness=0.8, smooth_strength=0.3)
    with pytest.raises(OptionError, match="smooth 'ema'"):
        Options(steadiness=0.0, smooth="ema")
    assert Options(steadiness=0.8, smooth="ema").smooth == "ema"


def test_live_has_the_same_knob(tmp_path: Path) -> None:
    saved = tmp_path / "live.toml"
    assert cli(["live", "--steadiness", "0.8", "--save-config", str(saved)]) == 0
    assert "steadiness = 0.8" in saved.read_text()

    def change(steadiness: float) -> float:
        method = Shivering()
        pairs = [(scenes.frame(rgb, index), *method.segment([0]))  # type: ignore[list-item]
                 for index, rgb in enumerate(still())]
        made = [matte.alpha for _, matte in _smoother(Options(steadiness=steadiness))(iter(pairs))]
        return float(np.mean([np.abs(one - other).mean() for one, other in pairwise(made)]))

    assert change(0.0) > change(0.5) > change(1.0)


@pytest.mark.parametrize("format", ["yuv420p", "gbrp", "yuv444p10le"])
@pytest.mark.parametrize("roi", [None, "0,0,50%,100%"])
def test_the_four_steps_stand_side_by_side(format: str, roi: str | None) -> None:
    frames = [scenes.frame(rgb, index, format) for index, rgb in enumerate(still(6))]

    class Keeping:
        kind = "composite"

        def __init__(self) -> None:
            self.pictures: list[Any] = []

        def write(self, frame: Frame) -> None:
            assert (frame.width, frame.height, frame.format) == (WIDE, HIGH, format)
            self.pictures.append(frame.rgb().astype(int))

        def close(self) -> None:
            pass

        def abort(self) -> None:
            pass

    def run(**options: Any) -> list[Any]:
        sink = Keeping()
        streamseg.run(frames, sink, method=Whole(roi), smooth="flow", background="#c02020", roi=roi, **options)
        return sink.pictures

    shown, plain = run(show_stages=True), run()
    half = scenes.cv2.resize(plain[3].astype(np.uint8), (WIDE // 2, HIGH // 2), interpolation=scenes.cv2.INTER_AREA)
    raw, steadied, refined, composite = (
        shown[3][:HIGH // 2, :WIDE // 2], shown[3][:HIGH // 2, WIDE // 2:],
        shown[3][HIGH // 2:, :WIDE // 2], shown[3][HIGH // 2:, WIDE // 2:])
    below = slice(16, None)  # the names are above
    assert np.abs(composite[below] - half[below]).mean() < 2
    assert set(np.unique(np.rint(raw[below, 70:90, 1] / 255))) <= {0, 1}
    assert np.abs(raw[16:-4, :-4, 0] - raw[16:-4, :-4, 2]).max() <= 3  # grey
    truth = scenes.cv2.resize(scenes.truth().astype(np.uint8) * 255, (WIDE // 2, HIGH // 2))
    left = slice(0, WIDE // 4 - 6) if roi else slice(None)
    for field in (raw, steadied, refined):
        assert np.abs(field[below, left, 1] - truth[below, left]).mean() < 25
    assert np.abs(raw[below, :, 1] - steadied[below, :, 1]).mean() > 0.5
    assert np.abs(steadied[below, :, 1] - refined[below, :, 1]).mean() > 0.2
    assert len(NAMES) == 4


class Whole(Shivering):
    """The same; of the left half where it is given that."""

    def __init__(self, roi: str | None) -> None:
        super().__init__()
        self._columns = WIDE if roi is None else WIDE // 2

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.ascontiguousarray(matte.alpha[:, :self._columns])) for matte in super().segment(frames)]


def test_an_output_for_transparency_shows_them_too(tmp_path: Path) -> None:
    report = streamseg.run(still(2), tmp_path / "o.webm", method=Shivering(), show_stages=True)
    assert [output.kind for output in report.outputs] == ["composite"]
