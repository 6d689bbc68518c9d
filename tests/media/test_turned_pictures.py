"""Single pictures that lie on their side, with the shipped nets."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

import streamseg


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """uint8 (512, 400, 3): scikit-image's astronaut, not square."""
    return np.ascontiguousarray(data.astronaut()[:, :400])


@pytest.fixture(scope="module")
def upright(portrait: np.ndarray) -> np.ndarray:
    with streamseg.load_model() as model:
        return model.alpha(portrait) > 0.5


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_portrait_that_lies_on_its_side_gets_the_same_matte(portrait: np.ndarray, upright: np.ndarray,
                                                              turn: int) -> None:
    with streamseg.load_model() as model:
        found = np.rot90(model.alpha(np.ascontiguousarray(np.rot90(portrait, turn))), -turn) > 0.5
    assert found.shape == upright.shape
    assert (found & upright).sum() / (found | upright).sum() > 0.95


def test_pictures_of_one_call_are_turned_each_for_itself(portrait: np.ndarray, upright: np.ndarray) -> None:
    with streamseg.load_model() as model:
        lying = np.ascontiguousarray(np.rot90(portrait))
        found = [model.alpha(picture) > 0.5 for picture in (portrait, lying, portrait)]
    assert all(np.array_equal(found[number], upright) for number in (0, 2))
    assert (np.rot90(found[1], -1) & upright).sum() / upright.sum() > 0.95
