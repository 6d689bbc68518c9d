"""`streamseg eval` on real films, folders and pictures whose scores follow from how they were made."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamseg.cli import cli
from streamseg.core.opencv import cv2
from tests import clips, stills

Array = npt.NDArray[Any]
SIZE = (80, 60)  # width, height
FRAMES = 12


def bar(index: int, width: int = 20) -> Array:
    """uint8 (h, w, 3): the person is a bar that walks two columns a frame."""
    made = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    made[:, 10 + 2 * index:10 + 2 * index + width] = 255
    return made


def blinking(index: int) -> Array:
    """The bar with a column too much in frame 5."""
    return bar(index, 21 if index == 5 else 20)


def film(path: Path, content: Callable[[int], Array] = bar, frames: int = FRAMES, **settings: Any) -> Path:
    return clips.video(path, size=SIZE, frames=frames, content=content,
                       **{"codec": "ffv1", "pix_fmt": "gray", **settings})


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("eval")
    return {"truth": film(folder / "truth.mkv"), "blinking": film(folder / "blinking.mkv", blinking),
            "late": film(folder / "late.mkv", lambda index: bar(index - 1)),
            "short": film(folder / "short.mkv", frames=FRAMES - 2)}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """The JSON of a command that must succeed."""
    code = cli(["eval", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that must fail without a traceback."""
    assert cli(["eval", *map(str, words)]) in (1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    line, = err.splitlines()
    assert line.startswith("streamseg: error: ")
    return line


# --- films ------------------------------------------------------------------------------------

def test_a_film_against_itself_is_perfect(films: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, films["truth"], films["truth"])
    assert found["frames"] == FRAMES
    assert found["summary"]["iou"] == found["summary"]["boundary_f"] == 1
    assert found["summary"]["mad"] == found["summary"]["dtssd"] == found["summary"]["sad"] == 0
    assert found["summary"]["lag"] == pytest.approx(0, abs=0.05)


def test_one_column_in_one_frame_is_what_the_numbers_say(films: dict[str, Path],
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    summary = run(capsys, films["blinking"], films["truth"])["summary"]
    assert summary["iou"] == pytest.approx((FRAMES - 1 + 20 / 21) / FRAMES)
    assert summary["mad"] == pytest.approx(1e3 / 80 / FRAMES)
    assert summary["dtssd"] == pytest.approx(1e2 * 2 * math.sqrt(1 / 80) / (FRAMES - 1))


def test_a_matte_one_frame_late_has_a_lag_of_one(films: dict[str, Path],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, films["late"], films["truth"])["summary"]["lag"] == pytest.approx(1, abs=0.1)


def test_alpha_of_a_cut_out_is_its_matte(films: dict[str, Path], tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    def cut(index: int) -> Array:
        colours = np.full((SIZE[1], SIZE[0], 3), (200, 40, 90), np.uint8)
        return np.dstack([colours, bar(index)[..., 0]])

    cutout = film(tmp_path / "cutout.mov", cut, codec="png", pix_fmt="rgba")
    assert run(capsys, cutout, films["truth"])["summary"]["mad"] == 0


def test_a_pattern_is_a_film(films: dict[str, Path], tmp_path: Path,
                             capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"{index:03}.png"), blinking(index))
    found = run(capsys, tmp_path / "%03d.png", films["truth"])["summary"]
    assert found == pytest.approx(run(capsys, films["blinking"], films["truth"])["summary"], nan_ok=True)
    assert found["dtssd"] > 0


def test_without_truth_flicker_and_warping_error_by_the_guide(films: dict[str, Path], tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    def standing(index: int) -> Array:
        return bar(0, 21 if index == 5 else 20)

    def noise(index: int) -> Array:
        return np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)

    def half_still(index: int) -> Array:
        shown = noise(index)
        shown[:, 40:] = 100 * (index % 2)
        return shown

    matte = film(tmp_path / "matte.mkv", standing)
    still = film(tmp_path / "still.mkv", noise, pix_fmt="yuv444p")
    half = film(tmp_path / "half.mkv", half_still, pix_fmt="yuv444p")
    found = run(capsys, matte, "--no-truth", "--source", still)["summary"]
    assert found["flicker"] == pytest.approx(1e6 / 80 / (FRAMES - 2))
    # The column comes and goes: two of eleven steps are off in one of eighty columns.
    assert found["warping_error"] == pytest.approx(2 / 80 / (FRAMES - 1), rel=0.05)
    assert run(capsys, matte, "--no-truth", "--source", half)["summary"]["flicker"] == pytest.approx(
        1e6 / 40 / (FRAMES - 2))
    alone = run(capsys, matte, "--no-truth")
    assert list(alone["summary"]) == ["flicker"]
    assert any("warping error is not measured" in note for note in alone["notes"])


def test_films_of_different_length(films: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, films["short"], films["truth"])
    assert f"short.mkv ends after {FRAMES - 2} frames, {films['truth']} goes on; --allow-missing" in line
    found = run(capsys, films["short"], films["truth"], "--allow-missing")
    assert found["frames"] == FRAMES - 2
    assert f"{films['short']} ends after {FRAMES - 2} frames, {films['truth']} goes on" in found["notes"]


def test_a_lossy_matte_is_scored_with_a_remark(films: dict[str, Path], tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    lossy = film(tmp_path / "lossy.mp4", codec="libx264", pix_fmt="yuv420p")
    found = run(capsys, lossy, films["truth"])
    assert found["summary"]["iou"] > 0.97
    assert [note.partition(":")[0] for note in found["notes"] if "unless its codec is lossless" in note] == [
        str(lossy)]


def test_duration_takes_the_first_part_of_all(films: dict[str, Path],
                                              capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, films["blinking"], films["truth"], "--duration", "0.2")
    assert found["frames"] == 5
    assert found["summary"]["iou"] == 1  # frame 5 is the first wrong one


# --- folders and pictures ---------------------------------------------------------------------

def test_folders_of_pictures_and_films_together(films: dict[str, Path], tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    for side, content in (("p", blinking), ("t", bar)):
        (tmp_path / side).mkdir()
        for index in (4, 5):
            cv2.imwrite(str(tmp_path / side / f"{index}.png"), content(index))
        film(tmp_path / side / "film.mkv", content)
    found = run(capsys, tmp_path / "p", tmp_path / "t")
    assert [(clip["name"], clip["frames"]) for clip in found["clips"]] == [(str(tmp_path / "p"), 2),
                                                                           ("film", FRAMES)]
    pictures, moving = (clip["summary"] for clip in found["clips"])
    assert pictures["iou"] == pytest.approx((1 + 20 / 21) / 2)
    assert "dtssd" not in pictures
    assert found["summary"]["iou"] == pytest.approx((pictures["iou"] + moving["iou"]) / 2)
    assert found["summary"]["dtssd"] == moving["dtssd"]
    assert cli(["eval", str(tmp_path / "p"), str(tmp_path / "t")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["frames", "iou"]
    assert lines[-1].split()[:2] == ["mean", str(FRAMES + 2)]


def test_an_opaque_cut_out_picture_is_all_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = stills.image(tmp_path / "p.png", size=SIZE, kind="rgba")
    bgra = cv2.imread(str(whole), cv2.IMREAD_UNCHANGED)
    bgra[..., 3] = 255
    cv2.imwrite(str(whole), bgra)
    cv2.imwrite(str(tmp_path / "t.png"), np.full((SIZE[1], SIZE[0]), 255, np.uint8))
    assert run(capsys, whole, tmp_path / "t.png")["summary"]["mad"] == 0


# --- what is written --------------------------------------------------------------------------

def test_csv_has_a_line_a_frame_and_the_table_its_worst(films: dict[str, Path], tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "frames.csv"
    assert cli(["eval", str(films["blinking"]), str(films["truth"]), "--csv", str(table), "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    rows = list(csv.DictReader(table.open()))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    assert [float(row["time"]) for row in rows] == pytest.approx([index / 25 for index in range(FRAMES)])
    assert [float(row["iou"]) for row in rows] == pytest.approx(
        [20 / 21 if index == 5 else 1 for index in range(FRAMES)], abs=1e-5)
    assert rows[0]["dtssd"] == ""
    assert float(rows[5]["dtssd"]) > 0
    assert "lag" not in rows[0]
    cli(["eval", str(films["blinking"]), str(films["truth"])])
    out = capsys.readouterr().out
    assert ["iou", "0.996", "0.9524", "5"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_plot_draws_a_panel_a_metric(films: dict[str, Path], tmp_path: Path, suffix: str,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for metrics in ("iou", "iou,mad,dtssd"):
        plot = tmp_path / f"{metrics}{suffix}"
        run(capsys, films["blinking"], films["truth"], "--metrics", metrics, "--plot", plot)
        data = plot.read_bytes()
        if suffix == ".png":
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert np.ptp(picture[..., 0].astype(int) - picture[..., 2]) > 50  # the line is blue
            sizes.append(picture.shape[0])
        else:
            assert b"<svg" in data
            sizes.append(data.count(b'id="axes_'))
    assert sizes[1] > sizes[0]
    assert {path.name for path in tmp_path.iterdir()} == {f"iou{suffix}", f"iou,mad,dtssd{suffix}"}


def test_existing_files_are_kept_unless_overwrite_is_said(films: dict[str, Path], tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "frames.csv"
    table.write_text("old")
    words = (films["truth"], films["truth"], "--metrics", "iou", "--csv", table)
    assert "frames.csv exists; give another name, or --overwrite" in refused(capsys, *words)
    assert table.read_text() == "old"
    run(capsys, *words, "--overwrite")
    assert table.read_text().startswith("clip,frame,time,iou")


def test_what_is_scored_is_never_overwritten(films: dict[str, Path], tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    folder, truths, frames = (tmp_path / name for name in ("films", "truths", "frames"))
    for place in (folder, truths, frames):
        place.mkdir()
    for index in range(2):
        cv2.imwrite(str(frames / f"{index:03}.png"), bar(index))
    matte, truth = folder / "matte.mkv", films["truth"]
    for path in (matte, truths / "matte.mkv"):
        path.write_bytes(truth.read_bytes())
    link = tmp_path / "link.csv"
    link.symlink_to(matte)
    others = folder / "others.csv", frames / "others.png"
    for path in others:
        path.write_text("old")
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    pattern = frames / "%03d.png"
    for words, target in (
            ((matte, truth, "--csv"), matte), ((truth, matte, "--csv"), link),
            ((truth, matte, "--csv"), folder / ".." / "films" / "matte.mkv"),
            ((truth, "--no-truth", "--source", matte, "--csv"), matte),
            ((folder, truths, "--only", "*.mkv", "--csv"), matte),
            ((pattern, pattern, "--plot"), frames / "001.png")):
        assert f"{target} would replace what" in refused(capsys, *words, target, "--overwrite")
    assert {path: path.read_bytes() for path in kept} == kept
    run(capsys, folder, truths, "--only", "*.mkv", "--csv", others[0], "--overwrite")
    run(capsys, pattern, pattern, "--plot", others[1], "--overwrite")


def test_a_plot_without_matplotlib_names_the_extra_before_any_work(
        films: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refused(capsys, films["truth"], tmp_path / "nothing.mkv", "--plot", tmp_path / "x.png")
    assert "pip install 'streamseg[bench]'" in line


# --- what is refused --------------------------------------------------------------------------

def test_bad_requests_end_in_one_line(films: dict[str, Path], tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    truth = films["truth"]
    colours = stills.image(tmp_path / "photo.jpg", size=SIZE)
    sound = clips.sound_only(tmp_path / "sound.m4a")
    text = tmp_path / "text.png"
    text.write_text("no picture")
    wide = clips.video(tmp_path / "wide.mkv", size=(120, 60), frames=2)
    for words, message in (
            ((truth,), "TRUTH is missing: give it, or --no-truth"),
            ((truth, truth, "--no-truth"), "choose one"),
            ((colours, colours), "has colours and no alpha"),
            ((sound, truth), "has no picture"), ((text, text), "text.png is damaged at 0.000 s"),
            ((tmp_path / "none.mkv", truth), "none.mkv does not exist"),
            ((truth, truth, "--metrics", "iuo"), "metric is 'iuo'; allowed are: iou"),
            ((truth, truth, "--ignore", 300), "ignore is 300; it must be"),
            ((truth, truth, "--plot", tmp_path / "x.bmp"), "must be one of .png, .svg, .pdf"),
            ((truth, truth, "--csv", tmp_path / "x.png", "--plot", tmp_path / "x.png"), "both the CSV and"),
            ((tmp_path / "none.mkv", truth, "--metrics", "lag", "--plot", tmp_path / "x.png"),
             "lag has no number a frame"),
            ((tmp_path / "none.mkv", truth, "--metrics", "lag", "--csv", tmp_path / "x.csv"),
             "lag has no number a frame"),
            ((truth, truth, "--csv", tmp_path / "no" / "x.csv"), "does not exist; make it first"),
            ((truth, "--no-truth", "--metrics", "warping_error"), "--source VIDEO"),
            ((truth, "--no-truth", "--source", wide), "is not the film that they are of"),
            ((truth, tmp_path), "is a folder and")):
        assert message in refused(capsys, *words)
