"""Which input goes where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamseg.cli.plan import Job, jobs
from streamseg.errors import OptionError
from tests import stills


def test_one_input_is_taken_as_it_stands() -> None:
    options = {"matte": "m.mkv", "blur": 0.2}
    assert jobs(["in.mp4"], ["a.mp4", "-"], options) == [Job("in.mp4", ["a.mp4", "-"], options)]


@pytest.mark.parametrize(("source", "name"), [
    ("a.mp4", "a.mp4"), ("a.MOV", "a.MOV"), ("sub/a.webm", "a.webm"), ("a.wmv", "a.mp4"),
    ("a.b.flv", "a.b.mp4"), ("noextension", "noextension.mp4"), ("p.png", "p.png"), ("p.JPG", "p.JPG"),
    ("x.gif", "x.gif"),
    ("http://host/clips/b%20c.mkv?token=1", "b c.mkv"), ("rtsp://host", "host.mp4"),
    ("shots/frame_%05d.png", "frame_%05d.png"), ("../up/clip.ts", "clip.ts")])
def test_each_input_keeps_its_name_and_if_it_can_be_written_its_extension(source: str, name: str) -> None:
    assert jobs([source, "other.mp4"], ["out/"], {})[0].sinks == [f"out/{name}"]


@pytest.mark.parametrize(("source", "name"), [("a.mp4", "a.webm"), ("a.mov", "a.mov"), ("a.wmv", "a.webm"),
                                              ("p.jpg", "p.png"), ("p.png", "p.png")])
def test_without_a_background_the_extension_can_hold_alpha(source: str, name: str) -> None:
    assert jobs([source, "z.mp4"], ["out/"], {"background": "none"})[0].sinks == [f"out/{name}"]
    assert jobs([source, "z.mp4"], [], {"cutout": "cut/"})[0].options["cutout"] == f"cut/{name}"


@pytest.mark.parametrize("source", ["x.avif", "x.HEIC", "x.tga", "x.jp2", "shots/x_%05d.exr", "x.ppm"])
def test_pictures_whose_format_cannot_be_written_stay_pictures(source: str) -> None:
    name = os.path.splitext(os.path.basename(source))[0] + ".png"
    for given in ({}, {"background": "none"}):
        assert jobs([source, "z.mp4"], ["out/"], given)[0].sinks == [f"out/{name}"]
    own = jobs([source, "z.mp4"], [], {"matte": "m/", "cutout": "c/", "foreground": "f/"})[0].options
    assert own == {"matte": f"m/{name}", "cutout": f"c/{name}", "foreground": f"f/{name}"}


@pytest.mark.parametrize(("name", "composite", "cutout"), [
    ("x.webp", "x.webp", "x.webp"), ("x.png", "x.mp4", "x.webm"), ("x.apng", "x.apng", "x.apng"),
    ("x.gif", "x.gif", "x.gif")])
def test_an_animation_is_a_film_whatever_its_name_says(tmp_path: Path, name: str, composite: str,
                                                       cutout: str) -> None:
    source = str(stills.animation(tmp_path / name))
    first, _ = jobs([source, "z.mp4"], ["out/"], {"matte": "m/", "cutout": "c/"})
    assert first.sinks == [f"out/{composite}"]
    assert first.options == {"matte": "m/x.mkv", "cutout": f"c/{cutout}"}


@pytest.mark.parametrize(("brand", "matte"), [(b"avif", "x.png"), (b"avis", "x.mkv")])
def test_an_avif_file_says_itself_whether_it_is_a_film(tmp_path: Path, brand: bytes, matte: str) -> None:
    (tmp_path / "x.avif").write_bytes(b"\0\0\0\x20ftyp" + brand + bytes(20))
    first, _ = jobs([str(tmp_path / "x.avif"), "z.mp4"], [], {"matte": "m/"})
    assert first.options == {"matte": f"m/{matte}"}


@pytest.mark.parametrize("name", ["x.webp", "x.png"])
def test_a_still_of_a_format_for_both_is_a_picture(tmp_path: Path, name: str) -> None:
    source = str(stills.image(tmp_path / name))
    assert jobs([source, "z.mp4"], [], {"matte": "m/"})[0].options == {"matte": "m/x.png"}


def test_mattes_cutouts_and_foregrounds_go_into_their_own_folders() -> None:
    first, second = jobs(["a.mp4", "p.jpg"], ["out/"],
                         {"matte": "m/", "cutout": "c/", "foreground": "f/", "blur": 0.3})
    assert first == Job("a.mp4", ["out/a.mp4"], {"matte": "m/a.mkv", "cutout": "c/a.webm",
                                                 "foreground": "f/a.mp4", "blur": 0.3})
    assert second == Job("p.jpg", ["out/p.jpg"], {"matte": "m/p.png", "cutout": "c/p.png",
                                                  "foreground": "f/p.jpg", "blur": 0.3})


def test_a_folder_among_several_inputs_becomes_a_folder(tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    first, _ = jobs([str(tmp_path / "shots"), "a.mp4"], ["out/"], {"matte": "m/"})
    assert first.sinks == [os.path.join("out", "shots", "")]
    assert first.options["matte"] == os.path.join("m", "shots", "")


def test_a_folder_that_exists_needs_no_slash(tmp_path: Path) -> None:
    assert jobs(["a.mp4", "b.mp4"], [str(tmp_path)], {})[1].sinks == [str(tmp_path / "b.mp4")]


@pytest.mark.parametrize("output", ["out.mp4", "out", "-"])
@pytest.mark.parametrize("flag", ["-o", "--matte", "--cutout", "--foreground"])
def test_several_inputs_into_one_file_are_refused(output: str, flag: str) -> None:
    outputs = [output] if flag == "-o" else []
    options = {} if flag == "-o" else {flag[2:]: output}
    with pytest.raises(OptionError, match=f"{flag} is '{output}'; 2 inputs need a folder"):
        jobs(["a.mp4", "b.mp4"], outputs, options)


def test_null_takes_any_number() -> None:
    assert [job.sinks for job in jobs(["a.mp4", "b.mp4"], ["null:"], {})] == [["null:"], ["null:"]]


def test_standard_input_stands_alone() -> None:
    with pytest.raises(OptionError, match="stands alone"):
        jobs(["a.mp4", "-"], ["out/"], {})


@pytest.mark.parametrize(("inputs", "options"), [
    (["x/a.mp4", "y/a.mp4"], {}), (["a.wmv", "a.flv"], {}), (["a.mp4", "b.mp4"], {"foreground": "out/"}),
    (["a.mp4", "./a.mp4"], {}), (["a.mkv", "b.mp4"], {"matte": "out/../out"})])
def test_two_inputs_that_would_be_written_to_one_path_are_refused_by_name(
        inputs: list[str], options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(OptionError, match=r"would be written to .*out.*a\.m"):
        jobs(inputs, ["out/"], options)
