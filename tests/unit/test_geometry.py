"""geometry: sizes and resampling that training and inference share."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streamseg.core.geometry import (
    BUDGETS,
    Box,
    letterbox,
    letterbox_box,
    nearest_size,
    net_size,
    resize,
    unletterbox,
)
from streamseg.source.arrays import frame_of


@pytest.mark.parametrize(("height", "width", "expected"), [
    (1080, 1920, (192, 352)), (720, 1280, (192, 352)), (480, 640, (224, 288)), (500, 500, (256, 256)),
    (640, 480, (288, 224)), (1920, 1080, (352, 192)),
])
def test_common_shapes_go_in_at_their_own_aspect(height: int, width: int, expected: tuple[int, int]) -> None:
    assert net_size(height, width) == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (480, 853), (2160, 3840), (9, 21)])
@pytest.mark.parametrize("budget", [32 * 32, 160 * 256, 224 * 224, 384 * 384])
def test_any_size_is_of_multiples_within_the_budget(shape: tuple[int, int], budget: int) -> None:
    height, width = net_size(*shape, budget=budget)
    assert height % 32 == 0
    assert width % 32 == 0
    assert 0 < height * width <= budget * 1.08


def test_turning_a_picture_turns_its_size() -> None:
    for height in range(200, 1200, 37):
        landscape, portrait = net_size(height, 1201), net_size(1201, height)
        assert landscape == portrait[::-1]


def test_a_budget_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no 32 x 32"):
        net_size(100, 100, budget=1000)


@pytest.mark.parametrize(("name", "expected"), [("high", (192, 352)), ("medium", (160, 288)),
                                                ("low", (128, 224))])
def test_nearest_size_goes_by_the_budget_among_sizes_of_an_aspect(name: str, expected: tuple) -> None:
    sizes = [net_size(*shape, budget) for budget in BUDGETS.values() for shape in ((9, 16), (1, 1), (16, 9))]
    assert nearest_size(720, 1280, sizes, BUDGETS[name]) == expected


def test_nearest_size_goes_by_the_aspect_among_sizes_of_about_an_area() -> None:
    sizes = [(160, 288), (224, 224), (288, 160)]
    assert nearest_size(2160, 3840, sizes) == (160, 288)
    assert nearest_size(100, 101, sizes) == (224, 224)
    assert nearest_size(900, 500, sizes) == (288, 160)
    with pytest.raises(ValueError, match="no sizes"):
        nearest_size(1, 1, [])


def test_shrinking_averages_and_keeps_type_and_rank() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(checks[..., None], 3, axis=2)
    small = resize(picture, (16, 16))
    assert small.shape == (16, 16, 3)
    assert small.dtype == np.uint8
    assert set(np.unique(small)) <= {127, 128}
    assert resize(checks[..., None], (8, 8)).shape == (8, 8, 1)
    assert resize(picture, (64, 64)) is picture


def test_resizing_keeps_a_gradient_in_place() -> None:
    # A half-pixel shift would move the ramp by half of its step.
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (32, 1))
    back = resize(resize(ramp, (16, 48)), (32, 96))
    assert np.abs(back - ramp)[:, 2:-2].max() < 1e-3


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (100, 100), (33, 177)])
def test_unletterbox_undoes_letterbox(shape: tuple[int, int]) -> None:
    ramp = np.tile(np.linspace(0, 1, shape[1], dtype=np.float32), (shape[0], 1))
    canvas, box = letterbox(ramp, (256, 256))
    assert canvas.shape == (256, 256)
    assert box == letterbox_box(*shape, (256, 256))
    assert box.height / box.width == pytest.approx(shape[0] / shape[1], rel=0.02)
    back = unletterbox(canvas, box, shape)
    assert back.shape == shape
    assert np.abs(back - ramp).max() < 0.02


def test_letterbox_fills_what_the_picture_leaves() -> None:
    canvas, box = letterbox(np.full((10, 20, 3), 9, np.uint8), (40, 40), fill=114)
    assert box == Box(10, 0, 20, 40)
    assert (canvas[:10] == 114).all()
    assert (canvas[10:30] == 9).all()


def test_a_box_off_the_matte_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie"):
        unletterbox(np.zeros((10, 10), np.float32), Box(0, 0, 11, 10))


@pytest.mark.parametrize("shape", [(720, 405), (1080, 1920), (352, 264), (270, 480), (100, 80)])
def test_pictures_are_resized_as_frames_are(shape: tuple[int, int]) -> None:
    """What a net is trained and scored on are the pixels that it gets in use."""
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    frame = frame_of(picture, 0, Fraction(1, 25))
    for budget in (BUDGETS["high"], BUDGETS["low"]):
        height, width = net_size(*shape, budget)
        np.testing.assert_array_equal(resize(picture, (height, width)), frame.rgb((width, height)))
