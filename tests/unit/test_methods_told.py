"""What is told of the methods, and what their parameters may not be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
import pytest

from streamseg.core.frames import Matte
from streamseg.errors import OptionError, SegmentError
from streamseg.segment import Segmenter, create_segmenter, method_class, parameters
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
    assert "write-up" not in info.source  # which says nothing to a user
    described = {item.name: item for item in info.parameters}
    assert {"size", "blur"} <= set(described)
    assert all(item.help and item.type for item in info.parameters)
    assert described["blur"].allowed == "1 to 99, odd"
    assert described["size"].default == parameters(type_of(name))["size"]["default"]


def type_of(name: str) -> type[Segmenter]:
    return method_class(name)


def test_catalogue_describes_a_class_of_somebody_else() -> None:
    info = describe(f"{__name__}:Somebody")
    assert info.summary == "Nobody's method."
    assert [(item.name, item.type, item.default) for item in info.parameters] == [("level", "int", 3)]


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


class Demanding(Somebody):
    """Takes whatever it is told."""

    def __init__(self, place, mode="fast", count=3, sure=False, *, kind: Literal["a", "b"] = "a",  # type: ignore
                 share: float | None = None) -> None:
        self.told = {"place": place, "mode": mode, "count": count, "sure": sure, "kind": kind, "share": share}
        if mode == "broken":
            raise RuntimeError("it broke")


@dataclass
class Listed(Somebody):
    """A dataclass, one of whose fields has no default."""

    place: str
    level: int = 3


NOBODY = Somebody()
DEMANDING = f"{__name__}:Demanding"


def test_what_is_not_annotated_is_told_as_such() -> None:
    found = {item.name: item for item in describe(DEMANDING).parameters}
    assert (found["mode"].type, found["mode"].allowed, found["mode"].default) == ("", "", "fast")
    assert (found["place"].type, found["place"].allowed) == ("", "must be given")
    listed = {item.name: (item.type, item.default) for item in describe(f"{__name__}:Listed").parameters}
    assert listed == {"place": ("str", None), "level": ("int", 3)}


@pytest.mark.parametrize(("name", "given", "taken"), [
    ("mode", "slow", "slow"), ("place", "12", "12"), ("kind", "b", "b"), ("count", "5", 5),
    ("count", "2.5", 2.5), ("count", [1], [1]), ("sure", "yes", True), ("sure", 1, True), ("share", "1", 1.0),
    ("share", None, None), ("place", Path("a"), Path("a"))])
def test_a_value_for_somebodys_class_becomes_what_its_constructor_shows(name: str, given: Any,
                                                                        taken: Any) -> None:
    told = create_segmenter(DEMANDING, {"place": "here", name: given}).original.told[name]  # type: ignore[attr-defined]
    assert (told, type(told)) == (taken, type(taken))


@pytest.mark.parametrize(("name", "params", "message"), [
    (DEMANDING, {}, "needs place: give --set place=VALUE"),
    (f"{__name__}:Listed", {"level": 2}, "needs place: give --set place=VALUE"),
    (DEMANDING, {"place": "", "count": "much"}, "count is 'much'; it must be a number"),
    (DEMANDING, {"place": "", "share": "much"}, "share is 'much'; it must be a number"),
    (f"{__name__}:NOBODY", {}, "is no class: give package.module:Class"),
    (".foo:M", {}, "method '.foo:M' cannot be loaded (TypeError: the 'package' argument is required to "
     "perform a relative import for '.foo'): give package.module:Class of something importable"),
    (":M", {}, "method ':M' cannot be loaded (ValueError: "),
    (f"{__name__}:Anybody", {}, "cannot be loaded (AttributeError: "),
])
def test_what_somebodys_class_cannot_be_made_of_is_named(name: str, params: dict[str, Any],
                                                         message: str) -> None:
    with pytest.raises(OptionError) as raised:
        create_segmenter(name, params)
    assert message in str(raised.value)


@pytest.mark.parametrize(("text", "what"), [
    ("class M(:", "SyntaxError: "), ("1 / 0", "ZeroDivisionError: division by zero"),
    ("import sys; sys.exit(3)", "SystemExit: 3"), ("import nowhere.at.all", "ModuleNotFoundError: ")])
def test_a_module_that_does_not_load_is_named_with_what_is_wrong(text: str, what: str, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "does_not_load.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError) as raised:
        create_segmenter("does_not_load:M")
    assert str(raised.value).startswith(f"method 'does_not_load:M' cannot be loaded ({what}")
    assert "give package.module:Class of something importable from here (PYTHONPATH)" in str(raised.value)


def test_a_class_of_somebody_that_fails_is_no_defect_of_ours() -> None:
    with pytest.raises(SegmentError, match=r"Demanding cannot be made: RuntimeError: it broke\. --verbose"):
        create_segmenter(DEMANDING, {"place": "", "mode": "broken"})


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
    ("default", {"k": 3}, "parameter of person is 'k'; allowed are: " + ", ".join(
        parameters(method_class("person")))),
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
    ("chroma", {"key": (0, 255, 0)}, "key is (0, 255, 0); it must be text, as 'auto'"),
    ("grabcut", {"rect": (.1, .1, .8, .8)},
     "rect is (0.1, 0.1, 0.8, 0.8); it must be text, as '0.05,0.03,0.9,0.97'"),
    ("region", {"seeds": [(1, 2)]},
     "seeds is [(1, 2)]; it must be text: Where growing starts: 'x,y;x,y' in pixels of the frame, or, with a "
     "decimal point, as shares of its size: '0.5,0.4'. Empty: from the border."),
    ("kmeans", {"k": 2.5}, "k is 2.5; it must be a whole number"),
    ("kmeans", {"k": None}, "k is None; it must be a whole number"),
    ("kmeans", {"k": True}, "k is True; it must be a whole number"),
    ("kmeans", {"k": float("inf")}, "k is inf; it must be a whole number"),
    ("kmeans", {"k": 10 ** 400}, "k is a number of more than 300 digits; allowed is 0 to 16"),
    ("threshold", {"value": 12.5}, "value is 12.5; it must be text or a whole number, as 'otsu'"),
    ("mog2", {"shadows": 2}, "shadows is 2; it must be true or false"),
    ("mog2", {"rate": [1]}, "rate is [1]; it must be a number"),
    ("plate", {}, "method plate has no background: give plate=FILE, a picture of the scene without the "
                  "subject, or clip=FILE to take the median of"),
])
def test_what_is_not_allowed_is_named_with_what_is(name: str, params: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        create_segmenter(name, params)
    assert str(raised.value) == message


@pytest.mark.parametrize(("name", "params", "taken"), [
    ("kmeans", {"k": 3.0}, 3), ("kmeans", {"k": np.float32(3)}, 3), ("kmeans", {"k": np.int64(3)}, 3),
    ("threshold", {"value": 128.0}, 128), ("threshold", {"value": "128"}, "128"),
    ("mog2", {"shadows": 0}, False), ("region", {"seeds": PurePath("3,3")}, "3,3")])
def test_what_says_the_same_is_taken(name: str, params: dict[str, Any], taken: Any) -> None:
    (key, _), = params.items()
    found = getattr(create_segmenter(name, params), key)
    assert (found, type(found)) == (taken, type(taken))


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
        create_segmenter("plate", {"clip": clip})
    assert str(raised.value).startswith(what)
    assert str(raised.value).endswith("give plate=FILE, a picture of the scene without the subject")


def test_plate_of_another_shape_is_an_error(tmp_path: Any) -> None:
    method = create_segmenter("plate", {"plate": plate_file(tmp_path, scenes.empty()[:, :144])})
    with pytest.raises(SegmentError, match=r"shape \(width : height 1\.000\) is not the clip's \(1\.778\)"):
        method.segment([frame(scenes.picture()[0])])
