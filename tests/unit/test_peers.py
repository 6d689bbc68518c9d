"""Models that others published run as their specs in benchmarks/specs say, and score what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.errors import OptionError
from streamseg.segment.model_spec import ModelSpec
from tests.shared import shared_folder

SPECS = Path(__file__).parents[2] / "benchmarks" / "specs"


def matte(picture: np.ndarray, **options: Any) -> np.ndarray:
    [(_, found)] = streamseg.mattes([picture], smooth="none", **options)
    return found.alpha


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.json")), ids=lambda path: path.stem)
def test_every_spec_in_the_project_can_be_read(path: Path) -> None:
    assert ModelSpec.read(path).range[0] < 1


# eg1800 and ccp as published on other pictures of the same sources; selfie_256x256 as measured on these by
# other code, with pictures brought to size by OpenCV.
@pytest.mark.parametrize(("name", "scores", "near"), [
    ("selfie_256x256.tflite", {"eg1800": 0.970, "ccp": 0.913, "voc": 0.453, "hsd": 0.799}, 0.006),
    ("meet_144x256.onnx", {"eg1800": 0.958, "ccp": 0.910}, 0.012),
    ("deeplabv3_mnv2_257.tflite", {"eg1800": 0.930, "ccp": 0.806}, 0.012),
])
def test_a_peer_reaches_its_score(name: str, scores: dict[str, float], near: float) -> None:
    folder = shared_folder()
    if name.endswith(".onnx"):
        pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")
    from training.data import PictureSet, read_index
    from training.predict import MethodPredictor
    from training.scores import by_source, score_all

    rows = [row for row in read_index(folder / "data", "val") if row.source in scores]
    model = folder / "models" / name
    predict = MethodPredictor(model, SPECS / f"{model.stem}.json", 1)
    found = by_source(score_all(predict, PictureSet(folder / "data", rows)))
    assert {source: found[source].iou for source in scores} == pytest.approx(scores, abs=near)


def test_deeplab_by_its_class_is_deeplab_by_its_channel() -> None:
    path = shared_folder() / "models" / "deeplabv3_mnv2_257.tflite"
    options = {"model": str(path), "model_spec": str(SPECS / "deeplabv3_mnv2_257.json")}
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    by_channel, by_class = matte(picture, **options), matte(picture, **options, classes="person")
    assert np.array_equal(by_channel, by_class)
    assert matte(picture, **options, classes="background").mean() > 0.5
    with pytest.raises(OptionError, match="classes names 'unicorn'; the model knows: background, aeroplane"):
        matte(picture, **options, classes="person,unicorn")
