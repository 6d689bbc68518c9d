"""Small picture sets, as their publishers lay them out or as training reads them, written by the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streamseg.core.opencv import cv2
from training.augment import Pair
from training.data import Row, write_index


def save(path: Path, array: Any) -> None:
    """An RGB or grey array as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def texture(rng: np.random.Generator, size: tuple[int, int]) -> Any:
    """uint8 (h, w, 3): blotches of two random colours with noise."""
    rough = rng.normal(0, 1, size).astype(np.float32)
    mix = np.clip(cv2.GaussianBlur(rough, (0, 0), 6) * 6 + 0.5, 0, 1)[..., None]
    first, second = rng.integers(0, 256, (2, 3))
    noise = rng.normal(0, 6, (*size, 3))
    return np.clip(first * mix + second * (1 - mix) + noise, 0, 255).astype(np.uint8)


def figure(rng: np.random.Generator, size: tuple[int, int]) -> Any:
    """uint8 (h, w) alpha with soft rims: a head on shoulders somewhere in the picture."""
    height, width = size
    alpha = np.zeros(size, np.uint8)
    x, head = rng.uniform(0.3, 0.7) * width, rng.uniform(0.12, 0.2) * height
    y = rng.uniform(0.3, 0.5) * height
    cv2.circle(alpha, (round(x), round(y)), round(head), 255, -1, cv2.LINE_AA)
    body = (round(head * rng.uniform(1.6, 2.2)), round(height - y - head * 0.8))
    cv2.ellipse(alpha, (round(x), height), body, 0, 180, 360, 255, -1, cv2.LINE_AA)
    return alpha


def person(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Any, Any]:
    """A figure of skin and cloth before a texture: uint8 (h, w, 3) and its alpha."""
    alpha = figure(rng, size)
    skin = np.array([205, 150, 120]) + rng.integers(-20, 20, 3)
    mix = alpha[..., None] / 255
    front = np.clip(skin + rng.normal(0, 8, (*size, 3)), 0, 255)
    return np.rint(front * mix + texture(rng, size) * (1 - mix)).astype(np.uint8), alpha


def pair(seed: int = 0, size: tuple[int, int] = (120, 100)) -> Pair:
    """A person's picture and truth as training/augment.py takes them, all known."""
    picture, alpha = person(np.random.default_rng(seed), size)
    return picture, cv2.merge([alpha, np.full(size, 255, np.uint8)])


def people_set(folder: Path, counts: dict[str, int], backgrounds: int = 0, size: tuple[int, int] = (64, 64),
               seed: int = 0) -> list[Row]:
    """A set in training's layout: ``counts`` figures of each split, and train pictures with nobody."""
    rng, rows = np.random.default_rng(seed), []
    for split, count in counts.items():
        for i in range(count):
            picture, alpha = person(rng, size)
            name = f"drawn/{split}{i:03}"
            save(folder / f"{name}.png", picture)
            save(folder / f"{name}_matte.png", np.where(alpha == 128, 127, alpha).astype(np.uint8))
            rows.append(Row(f"{name}.png", f"{name}_matte.png", "drawn", split, "portrait", "people",
                            size[1], size[0]))
    for i in range(backgrounds):
        save(folder / f"background/{i:03}.png", texture(rng, size))
        rows.append(Row(f"background/{i:03}.png", "", "background", "train", "place", "", size[1], size[0]))
    write_index(folder, rows)
    return rows
