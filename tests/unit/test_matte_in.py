"""--matte-in: mattes from elsewhere, one for every frame, or the first, which is carried through the shot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError, SinkError, SourceError
from streamseg.segment import BaseSegmenter

from . import scenes

WIDE, HIGH = scenes.WIDTH, scenes.HEIGHT


class Truth:
    """Gives masks in turn, as a film of mattes and as a method."""

    def __init__(self, masks: Sequence[Any]) -> None:
        self.masks: Iterator[Any] = iter(masks)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(next(self.masks).astype(np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def shot(count: int = 8) -> list[tuple[Any, Any]]:
    """The textured figure moves to the right by two pixels a frame."""
    return [scenes.textured(2.0 * index - 8, index) for index in range(count)]


def grey(mask: Any) -> Any:
    return np.repeat((255 * mask).astype(np.uint8)[..., None], 3, axis=2)


def written(tmp_path: Path, clip: list[tuple[Any, Any]], kind: str) -> str:
    """The truth of a clip as a film, a folder, cut-outs with alpha, or limited-range H.264."""
    if kind == "folder":
        folder = tmp_path / "mattes"
        folder.mkdir()
        for index, (_, mask) in enumerate(clip):
            assert cv2.imwrite(str(folder / f"{index:03}.png"), grey(mask))
        return str(folder)
    path = tmp_path / {"ffv1": "m.mkv", "h264": "m.mp4", "cutout": "m.mov"}[kind]
    if kind == "cutout":
        streamseg.run([rgb for rgb, _ in clip], path, method=Truth([m for _, m in clip]), smooth="none",
                      edges="bilinear", clean=False)
    else:
        streamseg.run([grey(mask) for _, mask in clip], path, method=Truth([mask * 0 + 1 for _, mask in clip]),
                      background="original", smooth="none", codec="ffv1" if kind == "ffv1" else None)
    return str(path)


class Untouched(BaseSegmenter):
    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        raise AssertionError("no method is needed")


@pytest.mark.parametrize("kind", ["ffv1", "h264", "folder", "cutout"])
def test_mattes_for_every_frame_come_out_as_if_a_method_had_made_them(tmp_path: Path, kind: str) -> None:
    clip = shot(5)
    path = written(tmp_path, clip, kind)
    report = streamseg.run([rgb for rgb, _ in clip], tmp_path / "o.mkv", matte=tmp_path / "o.matte.mkv", matte_in=path)
    assert report.method == "matte_in"
    assert report.subject is not None
    assert report.subject.frames == 1
    made = list(streamseg.open_source(tmp_path / "o.matte.mkv"))
    assert len(made) == 5
    for frame, (_, mask) in zip(made, clip, strict=True):
        assert scenes.iou(frame.planes[0] / np.float32(255), mask) > 0.96


def test_a_rough_matte_is_sharpened_at_the_pictures_edge(tmp_path: Path) -> None:
    rgb, mask = scenes.picture("dark")
    rough = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 4)
    assert cv2.imwrite(str(tmp_path / "rough.png"), np.rint(255 * rough))
    assert cv2.imwrite(str(tmp_path / "photo.png"), rgb[..., ::-1])
    streamseg.run(tmp_path / "photo.png", None, matte=tmp_path / "m.png", matte_in=tmp_path / "rough.png")
    made = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_GRAYSCALE) / 255
    assert np.abs(made - mask).mean() < 0.5 * np.abs(rough - mask).mean()


def test_a_part_of_the_film_meets_its_part_of_the_mattes(tmp_path: Path) -> None:
    clip = shot(8)
    film = tmp_path / "in.mkv"
    streamseg.run([rgb for rgb, _ in clip], film, method=Truth([m for _, m in clip]), background="original",
                  codec="ffv1")
    path = written(tmp_path, clip, "ffv1")
    pairs = list(streamseg.mattes(film, matte_in=path, start=0.16, duration=0.08, smooth="none"))
    assert len(pairs) == 2
    for (_, matte), (_, mask) in zip(pairs, clip[4:6], strict=True):
        assert scenes.iou(matte.alpha, mask) > 0.99
    (_, matte), *_ = streamseg.mattes(film, matte_in=path, roi="50%,0,50%,100%", smooth="none")
    right = np.arange(WIDE)[None, :] >= WIDE // 2
    assert scenes.iou(matte.alpha, clip[0][1] & right) > 0.9
    assert not matte.alpha[:, :matte.alpha.shape[1] // 2].any()


@pytest.mark.parametrize("kind", ["folder", "pattern", "ffv1"])
def test_mattes_of_a_part_are_those_of_its_frames_at_any_rate(tmp_path: Path, kind: str) -> None:
    """Pictures have no times: of a film of 50 frames a second, 0.1 s are 5 of them."""
    clip = shot(8)
    film = tmp_path / "in.mkv"
    streamseg.run([rgb for rgb, _ in clip], film, method=Truth([m for _, m in clip]), background="original",
                  codec="ffv1", rate=50)
    path = written(tmp_path, clip, "ffv1" if kind == "ffv1" else "folder")
    if kind == "ffv1":
        streamseg.run([grey(mask) for _, mask in clip], path, method=Truth([mask * 0 + 1 for _, mask in clip]),
                      background="original", smooth="none", codec="ffv1", rate=50, overwrite=True)
    path += "/%03d.png" if kind == "pattern" else ""
    pairs = list(streamseg.mattes(film, matte_in=path, start=0.1, duration=0.04, smooth="none"))
    assert len(pairs) == 2
    for (_, matte), (_, mask) in zip(pairs, clip[5:7], strict=True):
        assert scenes.iou(matte.alpha, mask) > 0.99
    if kind != "ffv1":
        for number in range(5, 8):
            Path(tmp_path, "mattes", f"{number:03}.png").unlink()
        with pytest.raises(SourceError, match=r"no matte from start, 0.1 s, on: its first one is that of the film's"):
            next(streamseg.mattes(film, matte_in=path, start=0.1))


def test_mattes_of_a_part_are_those_of_its_frames_where_times_are_rounded(tmp_path: Path) -> None:
    """The third frame of 30 a second begins at 0.0667 s, in Matroska at 0.067."""
    clip = shot(5)
    film = tmp_path / "in.mkv"
    streamseg.run([rgb for rgb, _ in clip], film, method=Truth([m for _, m in clip]), background="original",
                  codec="ffv1", rate=30)
    path = written(tmp_path, clip, "folder")
    for start, first in ((0.066, 2), (0.067, 2), (0.068, 3)):
        pairs = list(streamseg.mattes(film, matte_in=path, start=start, smooth="none"))
        assert len(pairs) == 5 - first
        for (_, matte), (_, mask) in zip(pairs, clip[first:], strict=True):
            assert scenes.iou(matte.alpha, mask) > 0.99


def mean_iou(clip: list[tuple[Any, Any]], **options: Any) -> float:
    """Of all frames but the first."""
    pairs = streamseg.mattes([rgb for rgb, _ in clip], smooth="none", persistence=0, **options)
    found = [scenes.iou(matte.alpha, mask) for (_, matte), (_, mask) in zip(pairs, clip, strict=True)]
    return float(np.mean(found[1:]))


def first_of(tmp_path: Path, clip: list[tuple[Any, Any]]) -> str:
    assert cv2.imwrite(str(tmp_path / "first.png"), grey(clip[0][1]))
    return str(tmp_path / "first.png")


def spoilt(clip: list[tuple[Any, Any]], lacks: bool, adds: bool) -> list[Any]:
    """What a method makes of a clip that misses the head and takes a thing in the room for a person."""
    made = []
    for _, mask in clip:
        wrong = mask.copy()
        if lacks:
            wrong[:int(HIGH * 0.45)] = False
        if adds:
            wrong[90:140, 4:40] = True
        made.append(wrong)
    return made


@pytest.mark.parametrize(("lacks", "adds"), [(True, False), (False, True), (True, True)])
def test_the_true_first_matte_makes_the_rest_of_the_shot_better(tmp_path: Path, lacks: bool, adds: bool) -> None:
    clip = shot()
    without = mean_iou(clip, method=Truth(spoilt(clip, lacks, adds)))
    with_it = mean_iou(clip, method=Truth(spoilt(clip, lacks, adds)), matte_in=first_of(tmp_path, clip))
    assert without < 0.93
    assert with_it > without + 0.6 * (1 - without)


def changes_too_much(clip: list[tuple[Any, Any]], **options: Any) -> float:
    """dtSSD of all frames, by its formula: how far a matte's change from frame to frame is from the truth's."""
    pairs = streamseg.mattes([rgb for rgb, _ in clip], smooth="none", persistence=0, **options)
    found = [matte.alpha for _, matte in pairs]
    size = found[0].shape[::-1]
    true: list[Any] = [cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for _, mask in clip]
    return float(np.sqrt(np.mean(np.square(np.diff(found, axis=0) - np.diff(true, axis=0)))))


def test_with_the_first_matte_the_rest_changes_no_more_than_without(tmp_path: Path) -> None:
    """The method sees the head in every other frame only, which is what makes mattes unsteady."""
    clip = shot()
    masks = [mask if index % 2 else wrong for index, ((_, mask), wrong) in enumerate(
        zip(clip, spoilt(clip, True, True), strict=True))]
    without = changes_too_much(clip, method=Truth(masks))
    assert changes_too_much(clip, method=Truth([mask for _, mask in clip])) < 0.2 * without
    assert changes_too_much(clip, method=Truth(masks), matte_in=first_of(tmp_path, clip)) <= without


def test_what_the_method_does_not_see_at_all_is_carried_alone(tmp_path: Path) -> None:
    clip = shot()
    nothing = [np.zeros_like(mask) for _, mask in clip]
    assert mean_iou(clip, method=Truth(nothing), matte_in=first_of(tmp_path, clip)) > 0.95


@pytest.mark.parametrize("region", [None, "-#ff00ff"])
def test_parts_of_the_first_matte_need_not_last_to_be_believed(tmp_path: Path, region: str | None) -> None:
    """A soft thing apart from the person, which the method does not see."""
    clip = [(rgb, mask) for rgb, mask in shot(6)]
    given = grey(clip[0][1])
    given[60:110, 8:40] = 200
    assert cv2.imwrite(str(tmp_path / "first.png"), given)
    pairs = streamseg.mattes([rgb for rgb, _ in clip], persistence=8, smooth="flow",
                             method=Truth([mask for _, mask in clip]), matte_in=str(tmp_path / "first.png"),
                             region=region)
    for _, matte in pairs:
        assert cv2.resize(matte.alpha, (WIDE, HIGH))[70:100, 15:33].mean() > 0.6


def test_where_the_method_is_right_a_first_matte_does_no_harm(tmp_path: Path) -> None:
    clip = shot()
    assert mean_iou(clip, method=Truth([mask for _, mask in clip]), matte_in=first_of(tmp_path, clip)) > 0.98


def test_the_first_matte_goes_as_far_as_the_next_cut(tmp_path: Path) -> None:
    clip = [*shot(4), *[(scenes.picture("light", index)[0], np.zeros((HIGH, WIDE), bool)) for index in range(4)]]
    nothing = [np.zeros_like(mask) for _, mask in clip]
    pairs = list(streamseg.mattes([rgb for rgb, _ in clip], smooth="none", persistence=0, method=Truth(nothing),
                                  matte_in=first_of(tmp_path, clip)))
    assert [bool(matte.alpha.max() > 0.5) for _, matte in pairs] == [True] * 4 + [False] * 4


@pytest.mark.parametrize("name", ["matte_in", "background", "strokes", "model_spec"])
def test_what_is_read_beside_the_input_is_not_written_over(tmp_path: Path, name: str) -> None:
    clip = shot(3)
    assert cv2.imwrite(str(tmp_path / "in.png"), clip[0][0])
    beside = tmp_path / "beside.png"
    assert cv2.imwrite(str(beside), grey(clip[0][1]))
    before = beside.read_bytes()
    (tmp_path / "link.png").symlink_to(beside)
    options: dict[str, Any] = {name: str(beside), "overwrite": True}
    for outputs in ({"sink": beside}, {"sink": tmp_path / "o.png", "matte": str(tmp_path / "link.png")}):
        with pytest.raises(SinkError, match=f"exists, and is what {name} is read from: give the output another name"):
            streamseg.run(tmp_path / "in.png", **outputs, **options)
    assert beside.read_bytes() == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_may_have_the_name_of_a_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                overwrite: bool) -> None:
    monkeypatch.chdir(tmp_path)
    films = [shot(1)[0][0]] * 2
    if overwrite:
        Path("green").mkdir()
    streamseg.run(films, "green/", method="threshold", background="green", overwrite=overwrite)
    assert len(list(Path("green").iterdir())) == 2


def test_what_cannot_be_used_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = shot(4)
    rgbs = [rgb for rgb, _ in clip]
    path = written(tmp_path, clip[:3], "ffv1")
    with pytest.raises(SourceError, match="ends after 3 mattes, and the film goes on"):
        streamseg.run(rgbs, tmp_path / "o.mkv", matte_in=path)
    with pytest.raises(OptionError, match="method is 'threshold', but matte_in has a matte for every frame"):
        streamseg.run(rgbs, tmp_path / "o.mkv", matte_in=path, method="threshold")
    assert cv2.imwrite(str(tmp_path / "square.png"), np.full((90, 90), 255, np.uint8))
    with pytest.raises(SourceError, match="90 x 90 pixels, and the film 256 x 144"):
        streamseg.run(rgbs, tmp_path / "o.mkv", matte_in=tmp_path / "square.png", method=Truth([m for _, m in clip]))
    assert cv2.imwrite(str(tmp_path / "photo.png"), rgbs[0])
    with pytest.raises(SourceError, match="has colours and no alpha"):
        streamseg.run(rgbs, tmp_path / "o.mkv", matte_in=tmp_path / "photo.png", method=Truth([m for _, m in clip]))
    with pytest.raises(SourceError):
        streamseg.run(rgbs, tmp_path / "o.mkv", matte_in=tmp_path / "none.png")
    photos = str(tmp_path / "photo.png"), str(tmp_path / "square.png")
    assert cli(["run", *photos, "-o", f"{tmp_path}/out/", "--matte-in", path]) == 2
    assert "mattes of one input" in capsys.readouterr().err
    assert not (tmp_path / "o.mkv").exists()
