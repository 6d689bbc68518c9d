"""Sheets to look at: pictures in rows, and beside each the truth and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.core.opencv import cv2
from streamseg.errors import SinkError
from training.data import PictureSet
from training.predict import Alpha, Picture, Predictor
from training.scores import Score

# Height of a cell and of the line of text above it, and what lies between cells, in pixels.
CELL, TEXT, GAP = 150, 16, 4
UNKNOWN = (255, 0, 255)


def worst(
    predict: Predictor, pictures: PictureSet, scores: Sequence[Score], folder: Path, count: int
) -> list[Path]:
    """Writes ``folder/SOURCE.png`` for each source: its ``count`` pictures of lowest IoU, worst first.

    Each is shown as picture, truth (unknown in magenta), and matte found. Raises SinkError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {row.image: i for i, row in enumerate(pictures.rows)}
    written = []
    for source in dict.fromkeys(score.source for score in scores):
        own = sorted((score for score in scores if score.source == source), key=lambda score: score.iou)
        groups = []
        for score in own[:count]:
            picture, mask = pictures[numbers[score.image]]
            matte = predict([picture])[0]
            title = f"{score.iou:.3f} F {score.boundary_f:.2f} {Path(score.image).stem}"
            groups.append((title, [picture, truth_cell(mask), matte_cell(matte, picture.shape)]))
        path = folder / f"{source}.png"
        write(path, layout(groups, columns=4))
        written.append(path)
    return written


def truth_cell(mask: NDArray[np.uint8]) -> Picture:
    """A set's truth, uint8 ``(h, w, 2)``, as a picture."""
    cell = cv2.cvtColor(mask[..., 0], cv2.COLOR_GRAY2RGB)
    cell[mask[..., 1] == 0] = UNKNOWN
    return cell


def matte_cell(matte: Alpha, shape: tuple[int, ...]) -> Picture:
    """A matte as a grey picture of ``shape``."""
    alpha = geometry.resize(matte, (shape[0], shape[1]))
    return cv2.cvtColor(np.rint(alpha * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def layout(groups: Sequence[tuple[str, Sequence[Picture]]], columns: int) -> Picture:
    """One sheet: each group's pictures side by side under its title, ``columns`` groups to a row."""
    blocks = [_group(title, cells) for title, cells in groups]
    rows = [_joined(blocks[i : i + columns], axis=1) for i in range(0, len(blocks), columns)]
    return _joined(rows, axis=0)


def write(path: Path, picture: Picture) -> None:
    """Writes an RGB picture; the ending says how. Raises SinkError."""
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise SinkError(f"{path} cannot be written")


def _group(title: str, cells: Sequence[Picture]) -> Picture:
    # All at the first one's shape: a net's answer may be smaller than the picture.
    width = max(1, round(cells[0].shape[1] * CELL / cells[0].shape[0]))
    scaled = [geometry.resize(cell, (CELL, width)) for cell in cells]
    body = _joined(scaled, axis=1)
    head = np.full((TEXT, body.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (1, TEXT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, body])


def _joined(parts: Sequence[Picture], axis: int) -> Picture:
    """The pictures in a row (axis 1) or a column (0), white between them and where they are smaller."""
    across = max(part.shape[1 - axis] for part in parts)
    padded = []
    for part in parts:
        room = [(0, 0), (0, 0), (0, 0)]
        room[1 - axis] = (0, across - part.shape[1 - axis])
        room[axis] = (0, GAP)
        padded.append(np.pad(part, room, constant_values=255))
    return np.concatenate(padded, axis=axis)
