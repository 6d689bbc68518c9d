"""Screens of one colour as they are lit: dull, bright, in shadow; with marks on them and the studio around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamseg.cli.run import run
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import SegmentError
from streamseg.options import Options
from streamseg.segment import create_segmenter, greenscreen
from streamseg.segment.api import Capabilities
from streamseg.segment.classical.chroma import screen_colour

from . import scenes
from .method_tools import matte_of
from .scenes import assert_subject, frame, iou

GREEN, BLUE = (0, 177, 64), (0, 71, 187)
WEIGHTS = np.array([0.299, 0.587, 0.114])


def lit(screen: tuple[int, int, int], saturation: float, light: Any) -> Any:
    """A screen's colour at a share of its saturation, in so much light: RGB, float."""
    grey = float(np.array(screen) @ WEIGHTS)
    return (grey + saturation * (np.array(screen, float) - grey)) * light


def before(colour: Any, subject: Any = None) -> tuple[Any, Any]:
    """The figure before a screen: uint8 (h, w, 3), and its truth."""
    rgb, mask = scenes.picture("screen")
    noise = np.random.default_rng(1).normal(0, 2, rgb.shape)
    made = np.where(mask[..., None], rgb if subject is None else subject, colour) + noise
    return np.clip(np.rint(made), 0, 255).astype(np.uint8), mask


@pytest.mark.parametrize("screen", [GREEN, BLUE], ids=["green", "blue"])
@pytest.mark.parametrize("saturation", [1 / 3, 0.5, 1.0], ids=lambda share: f"{share:.2f}")
@pytest.mark.parametrize("light", [0.5, 1.0, 1.3], ids=lambda share: f"light {share}")
def test_a_screen_as_it_is_lit_is_found_and_goes(screen: Any, saturation: float, light: float) -> None:
    rgb, mask = before(lit(screen, saturation, light))
    alpha = matte_of("chroma", rgb, "gbrp").alpha
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) == 1
    outer = cv2.erode((~mask).astype(np.uint8), np.ones((7, 7))) == 1
    assert np.percentile(alpha[outer], 98) == 0  # the rest is noise
    assert np.percentile(alpha[inner], 2) == 1
    if saturation < 0.4 or (saturation < 1 and light <= 1):  # a key of the name's strength leaves a veil there
        assert np.median(matte_of("chroma", rgb, "gbrp", key="green" if screen == GREEN else "blue").alpha[outer]) > 0.3


@pytest.mark.parametrize("saturation", [1 / 3, 0.5, 1.0], ids=lambda share: f"{share:.2f}")
def test_half_of_the_screen_may_be_in_shadow(saturation: float) -> None:
    light = np.where(np.arange(scenes.WIDTH) < scenes.WIDTH // 2, 1.2, 0.5)[None, :, None]
    rgb, mask = before(lit(GREEN, saturation, light))
    assert_subject(matte_of("chroma", rgb), mask)


@pytest.mark.parametrize("level", [40, 110, 200])
def test_a_grey_subject_stays_before_a_dull_screen(level: int) -> None:
    """A floor for greys: also with a little of the screen's light on it."""
    tint = level + 0.06 * (np.array(GREEN) - 111) * level / 111
    rgb, mask = before(lit(GREEN, 1 / 3, 1.0), tint)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) == 1
    assert np.median(matte_of("chroma", rgb, "gbrp").alpha[inner]) == 1


def test_a_key_of_one_hue_in_many_lights_beats_an_even_grey_that_fills_less() -> None:
    light = np.linspace(0.5, 1.2, scenes.WIDTH)[None, :, None]
    rgb, mask = before(lit(GREEN, 0.6, light))
    rgb[:, :24] = (120, 118, 121)  # a stand at the side: its grey is one box of colours, the screen's green many
    alpha = matte_of("chroma", rgb).alpha
    assert (alpha[:, 40:][~mask[:, 40:]] < 0.1).mean() > 0.97
    found, filled = screen_colour(np.full((100, 3), 90, np.uint8))
    assert (found, filled) == (None, 0.0)


# --- --greenscreen ------------------------------------------------------------------------------

SIZE = 320, 180


def studio(screen: tuple[int, int, int] = GREEN, marks: bool = True) -> tuple[Any, Any]:
    """A person before a screen that ends within the picture: marks on it, beyond it the studio and a lamp."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    rgb = np.empty((height, width, 3), float)
    rgb[:] = 70 + 30 * ((x // 7 + y // 5) % 2)[..., None]
    rgb[:, :14] = (250, 240, 200)
    rgb[10:, 40:290] = lit(screen, 0.7, np.linspace(0.7, 1.1, 250)[None, :, None])
    if marks:
        for left in (70, 110, 215, 255):
            for top in (40, 90, 140):
                rgb[top:top + 9, left + 3:left + 6] = rgb[top + 3:top + 6, left:left + 9] = (20, 20, 22)
    mask = np.zeros((height, width), bool)
    inner = scenes.truth()
    mask[height - inner.shape[0]:, 32:32 + inner.shape[1]] = inner
    rgb[mask] = (206, 150, 124)
    rgb[138:152, 150:170] = lit(screen, 0.7, 0.9)  # a print of the screen's colour on the shirt
    noise = np.random.default_rng(2).normal(0, 2, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8), mask


class Coarse:
    """In the place of the network: the truth as a net gives it, soft and a few pixels off."""

    truth: Any = None

    def __init__(self, **parameters: Any) -> None:
        self.parameters, self.closed, self.resets = parameters, 0, 0
        self.capabilities = Capabilities(expensive=True, runs_on="a test")

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        soft = cv2.GaussianBlur(np.roll(self.truth.astype(np.float32), 2, axis=1), (0, 0), 3)
        return [Matte(cv2.resize(soft, (160, 90), interpolation=cv2.INTER_AREA)) for _ in frames]

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> type[Coarse]:
    monkeypatch.setattr(greenscreen, "Person", Coarse)
    return Coarse


@pytest.mark.parametrize("screen", [GREEN, BLUE, (190, 40, 150)], ids=["green", "blue", "magenta"])
def test_marks_and_studio_go_and_the_print_on_the_shirt_stays(coarse: type[Coarse], screen: Any) -> None:
    rgb, coarse.truth = studio(screen)
    mask = coarse.truth
    method = create_segmenter("greenscreen")
    matte, = method.segment([frame(rgb)])
    assert iou(matte.alpha, mask) > 0.94  # 4:2:0 blurs the screen by a pixel
    assert iou(matte.alpha, mask) > iou(coarse().segment([frame(rgb)])[0].alpha, mask) + 0.02
    assert iou(matte.alpha, mask) > iou(matte_of("chroma", rgb).alpha, mask) + 0.3
    away = cv2.erode((~mask).astype(np.uint8), np.ones((9, 9))) == 1
    whole = cv2.resize(matte.alpha, SIZE)
    assert whole[away].max() < 0.02
    assert whole[140:150, 152:168].min() > 0.9
    assert matte.despill is not None
    method.close()


def test_what_is_held_belongs_to_the_person_and_what_stands_far_away_does_not(coarse: type[Coarse]) -> None:
    rgb, coarse.truth = studio(marks=False)
    rgb[125:140, 200:224] = (200, 30, 30)  # touches the shoulder: the net does not know it
    rgb[60:80, 250:270] = (200, 30, 30)
    alpha = cv2.resize(create_segmenter("greenscreen").segment([frame(rgb)])[0].alpha, SIZE)
    assert alpha[128:137, 207:220].min() > 0.9
    assert alpha[55:85, 245:275].max() < 0.02


def test_where_there_is_no_screen_it_says_so(coarse: type[Coarse]) -> None:
    rgb, coarse.truth = studio()
    grey = np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    with pytest.raises(SegmentError, match=r"no screen was found.*key=#rrggbb"):
        create_segmenter("greenscreen").segment([frame(grey)])


def test_without_a_person_nothing_is_kept(coarse: type[Coarse]) -> None:
    rgb, mask = studio()
    coarse.truth = np.zeros_like(mask)
    assert not create_segmenter("greenscreen").segment([frame(rgb)])[0].alpha.any()


def test_the_network_is_given_what_is_the_networks(coarse: type[Coarse]) -> None:
    method: Any = create_segmenter("greenscreen", {"key": "blue"}, device="cpu", runtime="litert", threads=3,
                                   stills=True)
    person = method._person
    assert person.parameters == {"model": None, "model_spec": None, "device": "cpu", "runtime": "litert", "threads": 3,
                                 "stills": True}
    assert (method.capabilities.runs_on, method.capabilities.expensive) == ("a test", False)
    method.reset()
    method.close()
    assert person.resets
    assert person.closed == 1


def test_one_flag_chooses_it() -> None:
    def method(*words: str) -> Any:
        return run.make_context("run", ["in.mp4", "-o", "out.mp4", *words]).params["method"]

    assert method("--greenscreen") == Options(method="greenscreen").method
    assert method("--method", "chroma") == "chroma"
    assert method() is None
