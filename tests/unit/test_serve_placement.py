"""Where the subject comes to lie: known boxes, and the arithmetic of 'over'."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.errors import OptionError
from streamseg.serve import placement
from streamseg.serve.placement import Area


def canvas(area: Area, size: tuple[int, int] = (40, 30)) -> placement.Picture:
    """A transparent picture of ``size`` (width, height) with an opaque rectangle."""
    made = np.zeros((size[1], size[0], 4), np.uint8)
    made[area.top:area.bottom, area.left:area.right] = (200, 100, 50, 255)
    return made


def test_the_subject_is_the_box_round_all_that_is_seen() -> None:
    area = Area(5, 7, 11, 13)
    picture = canvas(area)
    picture[0, 0, 3] = placement.SEEN - 1  # too faint to count
    assert placement.subject(picture[..., 3]) == area
    assert placement.subject(np.zeros((4, 4), np.uint8)) is None


@pytest.mark.parametrize(("text", "wanted"), [
    ("0% 0% 100% 100%", Area(0, 0, 40, 30)), ("10px 5px 20px 15px", Area(10, 5, 10, 10)),
    ("50% 0% 0% 50%", Area(0, 0, 20, 15)), ("30px 10px 900px 900px", Area(30, 10, 10, 20))])
def test_a_region_is_a_part_of_the_picture(text: str, wanted: Area) -> None:
    assert placement.region(text, 40, 30) == wanted


@pytest.mark.parametrize("text", ["", "1 2 3 4", "0px 0px 0px 0px", "900px 0px 901px 10px", "0% 0% 100%", "a b c d",
                                  "-1px 0px 5px 5px", "1e9px 0px 5px 5px"])
def test_a_region_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="roi is"):
        placement.region(text, 40, 30)


def test_outside_the_region_all_is_transparent() -> None:
    picture = canvas(Area(0, 0, 40, 30))
    made = placement.only_within(picture, Area(10, 10, 5, 5))
    assert placement.subject(made[..., 3]) == Area(10, 10, 5, 5)
    assert picture[0, 0, 3] == 255  # the one that was given stays


@pytest.mark.parametrize(("text", "wanted"), [
    ("3px", (3, 3, 3, 3)), ("10%", (2, 1, 2, 1)), ("1px 2px", (1, 2, 1, 2)), ("1px 2px 3px 4px", (1, 2, 3, 4))])
def test_margins_are_as_in_css(text: str, wanted: tuple[int, ...]) -> None:
    assert placement.margins(text, Area(0, 0, 10, 20)) == wanted


@pytest.mark.parametrize("text", ["51%", "501px", "1px 2px 3px", "x", ""])
def test_margins_beyond_what_is_allowed_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="crop_margin is"):
        placement.margins(text, Area(0, 0, 10, 20))


def test_a_margin_beyond_the_picture_is_transparent() -> None:
    picture = canvas(Area(0, 0, 10, 10), (10, 10))
    made, area = placement.cropped(picture, Area(0, 0, 10, 10), (1, 2, 3, 4))
    assert made.shape == (14, 16, 4)
    assert area == Area(4, 1, 10, 10) == placement.subject(made[..., 3])
    assert (made[1:11, 4:14] == picture).all()


def test_cropping_keeps_what_is_in_the_picture() -> None:
    picture = canvas(Area(5, 5, 10, 10))
    picture[0, 0] = (1, 2, 3, 4)
    made, _ = placement.cropped(picture, Area(5, 5, 10, 10), (5, 5, 5, 5))
    assert (made == picture[0:20, 0:20]).all()


@pytest.mark.parametrize(("position", "left", "top"), [("center", 15, 10), ("0%", 0, 0), ("100%", 30, 20),
                                                       ("100% 0%", 30, 0), ("original", 3, 4)])
def test_the_subject_is_moved(position: str, left: int, top: int) -> None:
    made, area = placement.placed(canvas(Area(3, 4, 10, 10)), Area(3, 4, 10, 10), "original", position)
    assert area == Area(left, top, 10, 10) == placement.subject(made[..., 3])


@pytest.mark.parametrize(("scale", "side"), [("100%", 30), ("50%", 15), ("10%", 3)])
def test_the_subject_fills_a_share_of_the_canvas_and_lies_in_its_middle(scale: str, side: int) -> None:
    made, area = placement.placed(canvas(Area(3, 4, 10, 10)), Area(3, 4, 10, 10), scale, "original")
    assert (area.width, area.height) == (side, side)
    assert placement.subject(made[..., 3]) == area
    assert tuple(made[15, 20]) == (200, 100, 50, 255)


def test_a_soft_edge_keeps_its_colour_when_scaled() -> None:
    """What is transparent is black here: unweighted, it would darken the rim."""
    picture = canvas(Area(3, 4, 10, 10))
    picture[4, 3:13, 3] = 100
    made, area = placement.placed(picture, Area(3, 4, 10, 10), "70%", "center")
    part = made[area.top:area.bottom, area.left:area.right]
    seen = part[part[..., 3] > 20][:, :3].astype(int)
    assert np.abs(seen - (200, 100, 50)).max() <= 2


@pytest.mark.parametrize(("scale", "position"), [("5%", "center"), ("101%", "center"), ("40px", "center"),
                                                 ("original", "5px"), ("original", "1% 2% 3%"), ("x", "y")])
def test_scales_and_positions_that_are_not_allowed_are_refused(scale: str, position: str) -> None:
    with pytest.raises(OptionError, match=r"(scale|position) is"):
        placement.placed(canvas(Area(3, 4, 10, 10)), Area(3, 4, 10, 10), scale, position)


def test_over_a_colour() -> None:
    picture = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8)
    made = placement.over_colour(picture, (0, 0, 100, 255))
    assert made.tolist() == [[[200, 100, 50, 255], [0, 0, 100, 255], [40, 20, 90, 255]]]


def test_over_a_colour_that_is_half_transparent() -> None:
    made = placement.over_colour(np.array([[[9, 9, 9, 0], [200, 100, 50, 255]]], np.uint8), (10, 20, 30, 128))
    assert made.tolist() == [[[10, 20, 30, 128], [200, 100, 50, 255]]]


def test_over_a_picture_that_fills_it() -> None:
    back = np.zeros((20, 80, 3), np.uint8)
    back[:, 40:] = 255  # the middle of it shows
    made = placement.over_picture(canvas(Area(0, 0, 5, 5)), back)
    assert made.shape == (30, 40, 4)
    assert (made[..., 3] == 255).all()
    assert made[10, 0, 0] == 0
    assert made[10, 39, 0] == 255
    assert tuple(made[2, 2, :3]) == (200, 100, 50)
