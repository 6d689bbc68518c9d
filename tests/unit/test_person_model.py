"""The person model: the size it sees of a picture, frames by one model, stills by several looks of both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamseg.segment.built_in import built_in
from streamseg.segment.person import Person
from streamseg.source.arrays import frame_of
from tests.unit.model_tools import frames


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (100, 100)])
def test_litert_takes_a_picture_at_about_its_own_aspect(height: int, width: int) -> None:
    method = Person(threads=1)
    alpha = method.segment([frame_of(frames(1, height, width)[0], 0, 1)])[0].alpha
    method.close()
    assert np.sign(alpha.shape[1] - alpha.shape[0]) == np.sign(width - height)
    assert abs(np.log((alpha.shape[1] / alpha.shape[0]) / (width / height))) < 0.06


def test_the_built_in_model_sees_as_many_pixels_as_it_is_told() -> None:
    frame = frame_of(frames(1, 90, 160)[0], 0, 1)
    method = Person(threads=1, roi=False)
    areas = {"high": method.segment([frame])[0].alpha.size}
    method.reduce(True)
    areas["reduced"] = method.segment([frame])[0].alpha.size
    method.close()
    for detail in ("medium", "low"):
        method = Person(threads=1, roi=False, detail=detail)
        areas[detail] = method.segment([frame])[0].alpha.size
        method.close()
    for stills in (False, True):
        method = Person(threads=1, roi=False, model="small", stills=stills)
        assert method.segment([frame])[0].alpha.size == areas["low"]
        method.close()
    assert areas["high"] > areas["medium"] > areas["low"] == areas["reduced"]


def test_a_file_of_our_own_training_runs_as_a_built_in_model_does(tmp_path: Path) -> None:
    path = shutil.copy(built_in(), tmp_path / "person-other.tflite")
    frame = frame_of(frames(1, 90, 160)[0], 0, 1)
    alphas = []
    for model in (None, str(path)):
        method = Person(threads=1, model=model, detail="low")
        alphas.append(method.segment([frame])[0].alpha)
        method.close()
        assert method._roi is not None
    assert alphas[0].shape == (128, 224)  # a foreign model knows one detail
    assert np.array_equal(*alphas)


def test_frames_are_seen_by_the_model_that_is_named_and_pictures_by_both() -> None:
    shown = frame_of(frames(1, 360, 640)[0], 0, 1)
    seen = {}
    for name, options in {"medium": {}, "large": {"model": "large"}, "both": {"stills": True},
                          "both in films": {"model": "both"}, "both, small": {"model": "both", "detail": "low"},
                          "medium alone": {"stills": True, "model": "medium"},
                          "large alone": {"stills": True, "model": "large"},
                          "one look": {"stills": True, "detail": "medium"}}.items():
        person = Person(threads=1, **options)
        seen[name] = [(net is person._net, height * width) for net, (height, width) in person._passes(shown)]
        person.segment([shown])
        person.close()
    assert seen["medium"] == seen["large"] == [(True, 192 * 352)]
    assert seen["both"] == [(False, 192 * 352), (True, 224 * 416)]
    assert seen["both in films"] == [(False, 192 * 352), (True, 192 * 352)]
    assert seen["both, small"] == [(False, 128 * 224), (True, 128 * 224)]
    assert [size for _, size in seen["medium alone"]] == [160 * 288, 224 * 416, 320 * 544]
    assert [size for _, size in seen["large alone"]] == [160 * 288, 224 * 416, 320 * 544]
    assert seen["one look"] == [(True, 160 * 288)]


# Stills: looks of several sizes, each also mirrored


def answering(values: Iterator[float]) -> Callable[..., tuple[list[np.ndarray], None]]:
    """Stands for a net's run: the next of ``values`` everywhere."""
    return lambda inputs, state=None: ([np.full((*inputs[0].shape[:3], 1), next(values), "f")], None)


def test_a_picture_gets_what_both_models_looks_agree_on(monkeypatch) -> None:
    method = Person(threads=1, stills=True, roi=False)
    for net, value in ((method._net, 0.9), (method._large, 0.84)):
        monkeypatch.setattr(net, "run", answering(iter(lambda value=value: value, None)))
    [matte] = method.segment([frame_of(frames(1, 180, 320)[0], 0, 1)])
    method.close()
    tail = method._spec.tail
    assert matte.alpha.shape == (224, 416)
    assert np.allclose(matte.alpha, (0.87 - tail) / (1 - 2 * tail), atol=1e-5)


def test_one_look_that_misses_somebody_takes_nothing_from_him(monkeypatch) -> None:
    """A mean of all would be .75 at most, nowhere sure, and fade as a whole."""
    method = Person(threads=1, stills=True, roi=False, model="medium")
    values = iter([0.0, 0.0, *[1.0] * 4])  # plain and mirrored
    monkeypatch.setattr(method._net, "run", answering(values))
    [matte] = method.segment([frame_of(frames(1, 180, 320)[0], 0, 1)])
    method.close()
    assert matte.alpha.min() == 1


def test_a_still_and_its_mirrored_picture_get_mirrored_mattes() -> None:
    picture = frames(1, 96, 160)[0]
    method = Person(threads=1, stills=True)
    one, other = (method.segment([frame_of(np.ascontiguousarray(shown), 0, 1)])[0].alpha
                  for shown in (picture, picture[:, ::-1]))
    method.close()
    assert np.abs(one - other[:, ::-1]).max() < 1e-4


@pytest.mark.parametrize(("detail", "looks"), [
    ("high", [(160, 288), (224, 416), (320, 544)]), ("low", [(128, 224)])])
def test_a_still_is_the_mean_of_its_looks(detail: str, looks: list[tuple[int, int]], monkeypatch) -> None:
    method = Person(threads=1, stills=True, detail=detail, roi=False, model="medium")
    run, shown = method._net.run, []

    def answer(inputs: list[np.ndarray], state: None = None) -> tuple[list[np.ndarray], None]:
        """A probability for each look: 0.87 is their mean."""
        [batch] = inputs
        assert run([batch])[0][0].shape == (*batch.shape[:3], 1)
        shown.append(batch[0])
        value = 0.87 + 0.05 * (len(shown) - 0.5 - len(looks))
        return [np.full((*batch.shape[:3], 1), value, np.float32)], None

    monkeypatch.setattr(method._net, "run", answer)
    [matte] = method.segment([frame_of(frames(1, 180, 320)[0], 0, 1)])
    method.close()
    assert [picture.shape[:2] for picture in shown] == [size for size in looks for _ in range(2)]
    for picture, mirrored in zip(shown[::2], shown[1::2], strict=True):
        assert np.array_equal(picture[:, ::-1], mirrored)
    assert matte.alpha.shape == looks[-1]
    # the mean comes before the ends are cut off: of them singly it would be less
    tail = method._spec.tail
    assert np.allclose(matte.alpha, (0.87 - tail) / (1 - 2 * tail), atol=1e-5)
