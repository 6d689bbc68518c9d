"""The benchmark of quality: known answers get the scores that they deserve."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import judge, quality, scenes
from streamseg import segment, smooth
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2

pytestmark = pytest.mark.slow  # measures, or starts whole benchmarks


class Exact:
    """A method that answers with what it was told to."""

    def __init__(self, alphas: list[Any]) -> None:
        self.alphas, self.at = alphas, 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.at += len(frames)
        return [Matte(alpha) for alpha in self.alphas[self.at - len(frames):self.at]]

    def reset(self) -> None:
        self.at = 0

    def close(self) -> None: ...


@pytest.mark.parametrize(("wrong", "iou"), [(False, 1.0), (True, 0.0)])
def test_the_truth_scores_best_on_a_scene_and_its_inverse_worst(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: bool, iou: float) -> None:
    scene = judge.Clip.of_scene("walking", scenes.write("walking", tmp_path, scenes.Material(), (160, 90), 4))
    assert len(scene.frames) == len(scene.truths) == 4
    truths = [np.float32(alpha >= 0.5) for alpha in scene.truths]
    answer = Exact([1 - truth for truth in truths] if wrong else truths)
    monkeypatch.setattr(judge.Entry, "open", lambda entry, clip=None: answer)
    found = judge.judge_scene(judge.Entry("exact", "ours", "exact", {}), scene)
    assert found["iou"] == pytest.approx(iou)
    assert found["mad"] == pytest.approx(0.0 if not wrong else 1000.0, abs=25)  # soft rims
    assert found["ms"] > 0


def test_val_pictures_are_judged_by_set_and_unknown_pixels_count_for_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[10:30, 20:40] = 255
    truth[:, 50:] = 128  # nobody knows
    cv2.imwrite(str(tmp_path / "a.webp"), np.full((40, 60, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), truth)
    with (tmp_path / "index.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "matte", "source", "split", "kind", "truth_by", "width", "height"])
        lines.writerows(["a.webp", "a.png", source, split, "portrait", "people", 60, 40]
                        for source, split in (("one", "val"), ("two", "val"), ("two", "train")))
    answer = Exact([])
    answer.alphas = [np.float32(truth > 0)]  # takes the unknown for a person
    monkeypatch.setattr(judge.Entry, "open", lambda entry, clip=None: answer)
    found = judge.judge_pictures(judge.Entry("exact", "ours", "exact", {}), tmp_path, None)
    perfect = {"iou": 1.0, "boundary_f": 1.0, "mad": 0.0, "pictures": 1, "truth_by": "people"}
    assert found["sets"] == {"one": perfect, "two": perfect}
    rows = quality.summaries({"exact": found}, {}, {"exact": "ours", "none": "peer"})
    assert rows["exact"]["people"] == {"iou": 1.0, "boundary_f": 1.0, "mad": 0.0}
    assert rows["none"] == {"kind": "peer", "people": None, "teacher": None, "scenes": None, "ms": None}
    assert quality.draw(rows).startswith(b"\x89PNG")


def test_every_method_and_smoothing_is_judged_but_what_cannot_be() -> None:
    names = {entry.name for entry in quality.entries(None)}
    assert set(segment.METHODS) - {"person", *quality.KEYED} <= names
    assert {f"person-medium + {name}" for name in smooth.NAMES if name not in ("auto", "none")} <= names
    assert {"person-medium", "person-medium, as single pictures", "person-medium, detail low"} <= names


def test_the_closer_look_is_judged_with_and_without(tmp_path: Path) -> None:
    """And it is what tells the two apart: the figures of somebody who is far off differ."""
    chosen = [entry for entry in quality.entries(None) if entry.name in (quality.OURS, quality.WHOLE_ONLY)]
    assert [entry.smoothing for entry in chosen] == ["none", "none"]
    scene = judge.Clip.of_scene("far", scenes.write("far", tmp_path, scenes.Material(), (320, 180), 4))
    by_scene = {entry.name: {"far": judge.judge_scene(entry, scene)} for entry in chosen}
    closer, without = by_scene[quality.OURS]["far"], by_scene[quality.WHOLE_ONLY]["far"]
    assert closer["iou"] != without["iou"]
    row, = quality.closer_table(by_scene).rows
    assert row[:3] == ("far", f"{without['iou']:.3f}", f"{closer['iou']:.3f}")
