"""`streamseg.run` and `streamseg.mattes` of real files: what progress foretells, options that say nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import streamseg
from streamseg.errors import OptionError
from streamseg.report import Progress
from tests import clips, stills

FRAMES = 160


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("run") / "film.mp4", frames=FRAMES, size=(256, 192))


def foretold(film: Path, *targets: object, **options: Any) -> list[int | None]:
    """What progress says of the size at the end, step by step."""
    seen: list[Progress] = []
    streamseg.run(film, [str(target) for target in targets], method="threshold", smooth="none",
                  progress=seen.append, **options)
    assert len(seen) == FRAMES + 1
    return [step.expected_bytes for step in seen]


def test_progress_foretells_the_size_of_the_files_together(film: Path, tmp_path: Path) -> None:
    """ProRes: every frame takes about as much as any other, and the files are large at once."""
    targets = [tmp_path / "a.mov", tmp_path / "b.mov"]
    said = foretold(film, *targets)
    size = sum(os.path.getsize(target) for target in targets)
    known = [step for step in said if step is not None]
    assert len(known) > FRAMES // 4
    assert said[0] is None
    assert known == pytest.approx([size] * len(known), rel=0.2)


@pytest.mark.parametrize("targets", [["frames/"], ["a.mov", "frames/"], ["null:"]], ids=" ".join)
def test_progress_foretells_no_size_of_pictures_or_nothing(film: Path, tmp_path: Path,
                                                           targets: list[str]) -> None:
    assert set(foretold(film, *(target if target == "null:" else f"{tmp_path}/{target}"
                                for target in targets))) == {None}


@pytest.mark.parametrize(("options", "message"), [
    ({"rate": 10}, "rate is 10, but .* is a video, which has its own times: leave --rate out; --cfr gives"),
    ({"only": "*.jpg"}, r"only is '\*.jpg', but .* is no folder to take files of: leave --only out")],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None)
@pytest.mark.parametrize("kind", ["film", "animation"])
def test_what_says_nothing_of_a_film_is_refused(film: Path, tmp_path: Path, kind: str,
                                                options: dict[str, Any], message: str) -> None:
    source = film if kind == "film" else stills.animation(tmp_path / "moving.webp", frames=3)
    with pytest.raises(OptionError, match=message):
        streamseg.run(source, tmp_path / "out.mp4", method="threshold", **options)
    with pytest.raises(OptionError, match=message):
        next(streamseg.mattes(source, method="threshold", **options))
    assert not (tmp_path / "out.mp4").exists()


def test_rate_and_only_are_taken_where_they_say_something(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        stills.image(tmp_path / "in" / f"{number}.png", number, code=False)
    pattern = tmp_path / "in" / "%d.png"
    frames = [frame for frame, _ in streamseg.mattes(pattern, method="threshold", rate=10)]
    assert [float(frame.time or 0) for frame in frames] == pytest.approx([0, 0.1, 0.2])
    for folder in (tmp_path / "in", f"file://{tmp_path}/in"):
        assert len(list(streamseg.mattes(folder, method="threshold", only="[01].png"))) == 2
    with pytest.raises(OptionError, match=r"only is '\*\.png', but .* is no folder"):
        next(streamseg.mattes(pattern, method="threshold", only="*.png"))
