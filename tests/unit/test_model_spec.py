"""What a model spec may say, what its output then means, and the names of classes."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError, SegmentError
from streamseg.segment.class_lists import CAMVID11, LISTS, VOC21
from streamseg.segment.model_spec import ModelSpec


def spec(**values: Any) -> ModelSpec:
    return ModelSpec.of(values)


@pytest.mark.parametrize(("content", "message"), [
    ('{"sise": [1, 2]}', r"field of m\.json is 'sise'; allowed are: size, range, channel, fit, .*classes"),
    ("[1]", "must hold a JSON object"),
    ("{", "cannot be read"),
    ('{"size": 256}', "size is 256; it must be a list of two numbers"),
    ('{"size": [NaN, 10]}', r"size is \[nan, 10\]; it must be a list of two numbers, both finite"),
    ('{"size": [1e999, 10]}', r"size is \[inf, 10\]; .* both finite"),
    ('{"size": [16385, 10]}', r"size is \[16385, 10\]; .* in pixels, each 1 to 16384"),
    ('{"range": null}', "range is None; it must be a list of two numbers"),
    ('{"range": [1, 1]}', r"range is \[1, 1\]; it must be two different numbers, as \[0, 1\]"),
    ('{"range": [0, NaN]}', r"range is \[0, nan\]; .* both finite"),
    ('{"range": [0, 1e400]}', r"range is \[0, inf\]; .* both finite"),
    ('{"range": [0, 1%s]}' % ("0" * 400), "both finite"),
    ('{"tail": null}', "tail is None; it must be a number, 0 to 0.45"),
    ('{"tail": true}', "tail is True; it must be a number, 0 to 0.45"),
    ('{"tail": NaN}', "tail is nan; allowed is 0 to 0.45"),
    ('{"fit": null}', "fit is None; allowed are"),
    ('{"activation": null}', "activation is None; allowed are"),
    ('{"channel": true}', "channel is True; it must be a number from 0"),
    ('{"channel": [1, false]}', "channel is .* it must be a number from 0"),
    ('{"channel": 1.0}', "channel is 1.0; it must be a number from 0"),
    ('{"size": [0, 256]}', r"size is \[0, 256\]; it must be \[height, width\] in pixels"),
    ('{"size": [25.5, 256]}', "in pixels"),
    ('{"range": [0, true]}', "range is .* it must be a list of two numbers"),
    ('{"channel": -1}', "channel is -1; it must be a number from 0"),
    ('{"channel": []}', "channel is"),
    ('{"fit": "crop"}', "fit is 'crop'; allowed are: squeeze, letterbox"),
    ('{"activation": "relu"}', "activation is 'relu'; allowed are: none, sigmoid, softmax"),
    ('{"layout": "hwc"}', "layout is 'hwc'; allowed are: None, nhwc, nchw"),
    ('{"classes": "coco"}', "classes is 'coco'; it must be voc21 or camvid11, or a list of different names"),
    ('{"classes": ["a", "A"]}', "different names"),
    ('{"classes": []}', "different names"),
    ('{"mean": 0.5}', "mean is 0.5; it must be a list of three numbers, for red, green and blue"),
    ('{"mean": [0.5, 0.5]}', "mean is .* list of three numbers"),
    ('{"mean": [0.5, 0.5, NaN]}', "mean is .* all finite"),
    ('{"mean": null}', "mean is None"),
    ('{"std": [1, 0, 1]}', r"std is \[1, 0, 1\]; its numbers must be more than 0"),
    ('{"std": [1, 1, true]}', "std is .* list of three numbers"),
    ('{"pixels": 1000}', "pixels is 1000; allowed is 1024 to"),
    ('{"pixels": 2048.5}', "pixels is 2048.5; it must be a whole number"),
    ('{"pixels": true}', "pixels is True; it must be a whole number"),
    ('{"input": 3}', "input is 3; it must be text in quotes"),
    ('{"output": ""}', "output is ''; it must be text in quotes"),
    ('{"name": []}', r"name is \[\]; it must be text"),
    ('{"licence": 1}', "licence is 1; it must be text"),
    ('{"states": {"a": "b"}}', "states is .* it must be a list of pairs"),
    ('{"states": [["a"]]}', "states is .* it must be a list of pairs"),
    ('{"states": [["a", 1]]}', "states is .* it must be a list of pairs"),
    ('{"states": [["a", "b"], ["a", "c"]]}', "states is .* it names an input twice"),
    ('{"states": [["a", "b"], ["c", "b"]]}', "states is .* it names an output twice"),
    ('{"constants": [1]}', "constants is .* an object of finite numbers"),
    ('{"constants": {"a": "1"}}', "constants is .* an object of finite numbers"),
    ('{"constants": {"a": Infinity}}', "constants is .* an object of finite numbers"),
    ('{"kind": "person"}', "kind is 'person'; allowed are: foreign, streamseg-person"),
])
def test_a_wrong_spec_names_the_value_and_what_is_allowed(content: str, message: str, tmp_path) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(OptionError, match=message):
        ModelSpec.read(path)


def test_a_spec_that_is_not_there_is_an_option_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"none\.json.*cannot be read"):
        ModelSpec.read(tmp_path / "none.json")


def test_a_spec_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"size": [144, 256], "range": [-1, 1], "channel": 1, "fit": "letterbox",
                                "activation": "softmax", "layout": "nchw", "classes": ["Wall", "person"]}))
    assert ModelSpec.read(path) == ModelSpec(
        size=(144, 256), range=(-1.0, 1.0), channel=(1,), fit="letterbox", activation="softmax",
        layout="nchw", classes=("wall", "person"))


ALL = {"size": [8, 16], "range": [0, 255], "channel": [1, 2], "fit": "letterbox", "activation": "softmax",
       "layout": "nchw", "tail": 0.1, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "pixels": 4096,
       "input": "src", "output": "pha", "states": [["r1i", "r1o"], ["r2i", "r2o"]],
       "constants": {"downsample_ratio": 0.5}, "classes": ["a", "b", "c"], "kind": "streamseg-person", "name": "it",
       "licence": "MIT"}


def test_what_is_written_is_what_was_read() -> None:
    assert set(ALL) == {item.name for item in fields(ModelSpec)}
    full = spec(**ALL)
    assert full.values() == ALL
    assert ModelSpec.of(json.loads(json.dumps(full.values()))) == full
    assert ModelSpec().values() == {}
    assert (full.states, full.constants) == ((("r1i", "r1o"), ("r2i", "r2o")), (("downsample_ratio", 0.5),))


def test_what_a_spec_leaves_out_is_the_bases(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"fit": "squeeze", "size": null, "mean": [0, 0, 0]}')
    base = spec(**ALL)
    assert ModelSpec.read(path, base) == replace(base, fit="squeeze", mean=(0.0, 0.0, 0.0))


@pytest.mark.parametrize(("given", "goes_in"), [
    ({}, (0.0, 0.4, 1.0)), ({"range": [0, 255]}, (0, 102, 255)), ({"range": [-1, 1]}, (-1.0, -0.2, 1.0)),
    ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, (-2.117904, -0.25, 2.64)),
    ({"range": [0, 255], "mean": [10, 2, 5], "std": [2, 4, 10]}, (-5, 25, 25)),
    ({"std": [1, 1, 2]}, (0.0, 0.4, 0.5)),
])
def test_a_picture_goes_in_as_the_spec_says(given: dict[str, Any], goes_in: tuple[float, ...]) -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[...] = 0, 102, 255
    values = spec(**given).normalised(picture)
    assert (values.dtype, values.shape) == (np.float32, (2, 3, 3))
    assert np.allclose(values, np.array(goes_in), atol=1e-4)
    assert picture[0, 0].tolist() == [0, 102, 255]


def test_a_dark_picture_goes_in_as_dark_as_it_is() -> None:
    dim = np.full((2, 2, 3), 51, np.uint8)
    dim[0, 0] = 102
    assert spec().normalised(dim).max() == pytest.approx(0.4)  # not divided by its own largest value


def test_null_stands_for_what_is_left_out() -> None:
    assert spec(size=None, channel=None, layout=None, classes=None) == ModelSpec()


LOGITS = np.log(np.array([[[[1.0, 2.0, 5.0]]]], np.float32))  # softmax: 1/8, 2/8, 5/8


@pytest.mark.parametrize(("given", "output", "alpha"), [
    (spec(), np.full((1, 1, 1, 1), 0.25, np.float32), 0.25),
    (spec(activation="sigmoid"), np.zeros((1, 1, 1, 1), np.float32), 0.5),
    (spec(activation="sigmoid"), np.full((1, 1, 1, 1), -1000, np.float32), 0.0),
    (spec(activation="softmax", channel=1), LOGITS, 0.25),
    (spec(activation="softmax", channel=[0, 2]), LOGITS, 0.75),
    (spec(activation="softmax", classes=["a", "b", "c"]).of_classes("c"), LOGITS, 0.625),
    (spec(activation="softmax", classes=["a", "b", "c"], channel=0).of_classes("b, C"), LOGITS, 0.875),
    (spec(activation="softmax", classes=["a", "b", "c"]).of_classes("c,c"), LOGITS, 0.625),
    (spec(activation="softmax", channel=0), LOGITS + 500, 0.125),
    (spec(), np.full((1, 1, 1, 1), 1.04, np.float32), 1.0),
])
def test_alpha_is_what_the_spec_says_of_the_output(given: ModelSpec, output: Any, alpha: float) -> None:
    found = replace(given, tail=0.0).alpha(output)
    assert found.dtype == np.float32
    assert found.shape == (1, 1, 1)
    assert found.item() == pytest.approx(alpha, abs=1e-6)


@pytest.mark.parametrize(("tail", "given", "wanted"), [
    (0.1, 0.1, 0.0), (0.1, 0.9, 1.0), (0.1, 0.02, 0.0), (0.1, 0.5, 0.5), (0.1, 0.3, 0.25), (0.0, 0.3, 0.3)])
def test_the_tails_are_cut_and_what_is_between_is_stretched(tail: float, given: float, wanted: float) -> None:
    alpha = spec(tail=tail).alpha(np.full((1, 1, 1, 1), given, np.float32))
    assert alpha.item() == pytest.approx(wanted, abs=1e-6)


def test_several_channels_without_a_word_which_one_are_refused() -> None:
    with pytest.raises(OptionError, match=r'gives 3 channels: say .* as \{"channel": 2\}$'):
        spec(activation="softmax").alpha(LOGITS)
    with pytest.raises(OptionError, match=r"or give --classes, of a, b, c$"):
        spec(activation="softmax", classes=["a", "b", "c"]).alpha(LOGITS)
    with pytest.raises(OptionError, match="gives 3 channels"):
        spec(activation="softmax", channel=3).alpha(LOGITS)


def test_names_that_are_not_as_many_as_the_channels_are_refused() -> None:
    with pytest.raises(OptionError, match="gives 3 channels, but its model spec names 2 classes"):
        spec(activation="softmax", classes=["a", "b"], channel=0).alpha(LOGITS)


@pytest.mark.parametrize("value", [3.0, -0.5, np.nan])
def test_values_that_are_no_probabilities_are_refused(value: float) -> None:
    with pytest.raises(SegmentError, match="name its activation"):
        spec().alpha(np.full((1, 2, 2, 1), value, np.float32))


def test_the_built_in_lists_are_those_of_the_data_sets() -> None:
    assert LISTS == {"voc21": VOC21, "camvid11": CAMVID11}
    assert (len(VOC21), len(CAMVID11)) == (21, 11)
    assert VOC21[15] == "person"  # what DeepLab's model card says
    assert (CAMVID11[8], CAMVID11[9], CAMVID11[10]) == ("car", "pedestrian", "bicyclist")


@pytest.mark.parametrize(("classes", "wanted", "channels"), [
    ("voc21", "person", (15,)), ("voc21", "Person, bicycle", (15, 2)), ("camvid11", "pedestrian", (9,)),
    ("camvid11", "person,bicyclist", (9, 10)), (["sky", "person"], "pedestrian", (1,)),
])
def test_classes_are_found_by_name(classes: Any, wanted: str, channels: tuple[int, ...]) -> None:
    assert spec(classes=classes).of_classes(wanted).channel == channels


@pytest.mark.parametrize("wanted", ["yoda", "person,yoda", "person,", ""])
def test_an_unknown_class_lists_the_known(wanted: str) -> None:
    with pytest.raises(OptionError, match=r"classes names '(yoda|)'; the model knows: background, .*"):
        spec(classes="voc21").of_classes(wanted)


def test_classes_of_a_model_without_names_ask_for_them() -> None:
    with pytest.raises(OptionError, match=r'give a model spec with "classes": voc21 or camvid11'):
        spec().of_classes("person")
