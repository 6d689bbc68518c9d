"""What is told of the methods, and what their parameters may not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError, SegmentError
from streamseg.frames import Matte
from streamseg.segment import Segmenter, create, parameters
from streamseg.segment.catalogue import describe

from . import scenes
from .method_tools import MOVING, STILL, matte_of, plate_file
from .scenes import frame

# --- the catalogue ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [*STILL, *MOVING])
def test_catalogue_tells_all_of_each_method(name: str) -> None:
    info = describe(name)
    assert info.name == name
    assert all(len(text) > 10 for text in (info.summary, info.source, info.good_for, info.bad_for))
    assert "eed write-up" in info.source
    described = {item.name: item for item in info.parameters}
    assert {"size", "blur"} <= set(described)
    assert all(item.help and item.type for item in info.parameters)
    assert described["blur"].allowed == "1 to 99, odd"
    assert described["size"].default == parameters(type_of(name))["size"]["default"]


def type_of(name: str) -> type[Segmenter]:
    from streamseg.segment import method_class
    return method_class(name)


def test_catalogue_describes_a_class_of_somebody_else() -> None:
    info = describe(f"{__name__}:Somebody")
    assert info.summary == "Nobody's method."
    assert [(item.name, item.default) for item in info.parameters] == [("level", 3)]


class Somebody:
    """Nobody's method.

    More about it.
    """

    def __init__(self, level: int = 3) -> None:
        self.level = level

    def segment(self, frames: Any) -> list[Matte]:
        return [Matte(np.zeros((2, 2), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


# --- parameters that are not allowed ------------------------------------------------------------

@pytest.mark.parametrize(("name", "params", "message"), [
    ("adaptive", {"block": "14"}, "block is 14; it must be odd: 13 or 15"),
    ("adaptive", {"block": "1"}, "block is 1; allowed is 3 to 255"),
    ("adaptive", {"method": "median"}, "method is 'median'; allowed are: mean, gaussian"),
    ("adaptive", {"c": "much"}, "c is 'much'; it must be a number"),
    ("threshold", {"type": "zero"},
     "type is 'zero'; allowed are: auto, binary, binary_inv, trunc, tozero, tozero_inv"),
    ("threshold", {"value": "256"}, "value is '256'; allowed are otsu or a whole number from 0 to 255"),
    ("threshold", {"value": "nan"}, "value is 'nan'; allowed are otsu or a whole number from 0 to 255"),
    ("threshold", {"type": "binary", "polarity": "dark"},
     "polarity is 'dark', but type binary keeps the light side: leave one of the two out"),
    ("threshold", {"k": "2"},
     "parameter of threshold is 'k'; allowed are: size, blur, type, value, polarity"),
    ("kmeans", {"k": "1"}, "k is 1; allowed is 0 (chosen by itself) or 2 to 16: one group divides nothing"),
    ("kmeans", {"k": "17"}, "k is 17; allowed is 0 to 16"),
    ("kmeans", {"k": "2.5"}, "k is 2.5; it must be a whole number"),
    ("kmeans", {"engine": "torch"}, "engine is 'torch'; allowed are: opencv, sklearn"),
    ("meanshift", {"quantile": "0"}, "quantile is 0; allowed is 0.01 to 1"),
    ("region", {"seeds": "10"}, "seeds holds '10'; a seed is 'x,y': whole pixels as 640,360 or shares of the "
                                "frame from 0.0 to 1.0 as 0.5,0.5; several are divided by ';'"),
    ("region", {"polarity": "subject"},
     "polarity is 'subject', but no seeds are given: the border is no place to grow the subject from; "
     "add seeds='x,y;x,y'"),
    ("grabcut", {"rect": "0.5,0,0.6,1"},
     "rect is '0.5,0,0.6,1'; it must be x,y,width,height as shares of the frame between 0 and 1 that stay "
     "within it, as 0.1,0.1,0.8,0.9"),
    ("chroma", {"key": "gren"}, "key is 'gren'; allowed are auto, #rrggbb, green, blue, red, magenta, cyan, "
                                "yellow, white, black"),
    ("mog2", {"rate": "2"}, "rate is 2; allowed is -1 to 1"),
    ("knn", {"shadows": "maybe"}, "shadows is 'maybe'; it must be true or false"),
    ("plate", {}, "method plate has no background: give plate=FILE, a picture of the scene without the "
                  "subject, or clip=FILE to take the median of"),
])
def test_what_is_not_allowed_is_named_with_what_is(name: str, params: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        create(name, params)
    assert str(raised.value) == message


def test_seed_outside_the_frame_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"^seeds holds '900,10', outside the frame of 256 x 144$"):
        matte_of("region", scenes.picture()[0], seeds="900,10")


@pytest.mark.parametrize(("clip", "what"), [
    ("-", "the median of '-' cannot be taken, it cannot be read twice"),
    ("rtsp://example.org/x", "the median of 'rtsp://example.org/x' cannot be taken"),
    (iter([]), "the median of a list_iterator cannot be taken"),
])
def test_plate_refuses_a_clip_that_cannot_be_read_twice(clip: Any, what: str) -> None:
    with pytest.raises(SegmentError) as raised:
        create("plate", {"clip": clip})
    assert str(raised.value).startswith(what)
    assert str(raised.value).endswith("give plate=FILE, a picture of the scene without the subject")


def test_plate_of_another_shape_is_an_error(tmp_path: Any) -> None:
    method = create("plate", {"plate": plate_file(tmp_path, scenes.empty()[:, :144])})
    with pytest.raises(SegmentError, match=r"shape \(width : height 1\.000\) is not the clip's \(1\.778\)"):
        method.segment([frame(scenes.picture()[0])])
