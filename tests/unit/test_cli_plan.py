"""Which input goes where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamseg.batch.inputs import LeftOut
from streamseg.batch.job import Job
from streamseg.batch.options import NamingOptions
from streamseg.cli.plan import jobs, refuse_at_once
from streamseg.errors import OptionError, SinkError, SourceError
from tests import stills


def test_one_input_is_taken_as_it_stands() -> None:
    options = {"matte": "m.mkv", "blur": 0.2}
    assert jobs(["in.mp4"], ["a.mp4", "-"], options) == [Job("in.mp4", ["a.mp4", "-"], options)]


@pytest.mark.parametrize(("source", "name"), [
    ("a.mp4", "a.mp4"), ("a.MOV", "a.MOV"), ("sub/a.webm", "a.webm"), ("a.wmv", "a.mp4"),
    ("a.b.flv", "a.b.mp4"), ("noextension", "noextension.mp4"), ("p.png", "p.png"), ("p.JPG", "p.png"),
    ("x.gif", "x.gif"),
    ("http://host/clips/b%20c.mkv?token=1", "b c.mkv"), ("rtsp://host", "host.mp4"),
    ("shots/frame_%05d.png", "frame_%05d.png"), ("shots/x_%05d.exr", "x_%05d.exr"),
    ("../up/clip.ts", "clip.ts")])
def test_each_input_keeps_its_name_and_if_it_can_be_written_its_extension(source: str, name: str) -> None:
    assert jobs([source, "other.mp4"], ["out/"], {})[0].sinks == [f"out/{name}"]


@pytest.mark.parametrize(("source", "name"), [("a.mp4", "a.webm"), ("a.mov", "a.mov"), ("a.wmv", "a.webm"),
                                              ("p.jpg", "p.png"), ("p.png", "p.png")])
def test_without_a_background_the_extension_can_hold_alpha(source: str, name: str) -> None:
    assert jobs([source, "z.mp4"], ["out/"], {"background": "none"})[0].sinks == [f"out/{name}"]
    assert jobs([source, "z.mp4"], [], {"cutout": "cut/"})[0].options["cutout"] == f"cut/{name}"


@pytest.mark.parametrize("source", ["x.avif", "x.HEIC", "x.tga", "x.jp2", "shots/x_%05d.dpx", "x.ppm"])
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
    assert second == Job("p.jpg", ["out/p.png"], {"matte": "m/p.png", "cutout": "c/p.png",
                                                  "foreground": "f/p.jpg", "blur": 0.3})


def test_a_folder_among_several_inputs_becomes_a_folder(tmp_path: Path) -> None:
    (tmp_path / "shots" / "day1").mkdir(parents=True)
    for name in ("a.jpg", "day1/b.mov", "notes.txt"):
        (tmp_path / "shots" / name).write_bytes(b"")
    left_out = LeftOut()
    first, second, _ = jobs([str(tmp_path / "shots"), "a.mp4"], ["out/"], {"matte": "m/"}, left_out=left_out)
    assert (first.sinks, first.options["matte"]) == (["out/shots/a.png"], "m/shots/a.png")
    assert (second.sinks, second.options["matte"]) == (["out/shots/day1/b.mov"], "m/shots/day1/b.mkv")
    assert left_out.lines() == [f"1 left out, no picture and no film: {tmp_path / 'shots' / 'notes.txt'}"]


def test_a_folder_that_exists_needs_no_slash(tmp_path: Path) -> None:
    assert jobs(["a.mp4", "b.mp4"], [str(tmp_path)], {})[1].sinks == [str(tmp_path / "b.mp4")]


@pytest.mark.parametrize("output", ["out.mp4", "out", "-"])
@pytest.mark.parametrize("flag", ["-o", "--matte", "--cutout", "--foreground"])
def test_several_inputs_into_one_file_are_refused(output: str, flag: str) -> None:
    outputs = [output] if flag == "-o" else []
    options = {} if flag == "-o" else {flag[2:]: output}
    with pytest.raises(OptionError, match=f"{flag} is '{output}'; 2 inputs need a folder"):
        jobs(["a.mp4", "b.mp4"], outputs, options)


def test_a_name_with_spaces_and_without_quotes_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"my does not exist: a name with spaces needs quotes"):
        jobs(["my", "film.mp4"], ["out.mp4"], {})
    (tmp_path / "a.mp4").touch()
    with pytest.raises(OptionError, match=r"as out\.mp4/$"):
        jobs([str(tmp_path / "a.mp4"), "http://host/b.mp4"], ["out.mp4"], {})


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


# --- a folder as output, a folder as input ----------------------------------------------------

def test_a_folder_takes_one_film_under_its_own_name() -> None:
    assert jobs(["in.mp4"], ["out/", "b.mov"], {"matte": "m/"}) == [
        Job("in.mp4", ["out/in.mp4", "b.mov"], {"matte": "m/in.mkv"})]


@pytest.mark.parametrize(("naming", "wanted"), [
    (NamingOptions(frames=True), "out/"), (NamingOptions(frames=True, format="jpg"), "out/in/frame_%05d.jpg")])
def test_numbered_pictures_are_asked_for(naming: NamingOptions, wanted: str) -> None:
    assert jobs(["in.mp4"], ["out/"], {}, naming=naming)[0].sinks == [wanted]
    assert jobs(["in.mp4"], ["out/f_%05d.png"], {})[0].sinks == ["out/f_%05d.png"]


def test_standard_input_has_no_name_for_a_folder() -> None:
    with pytest.raises(OptionError, match="has no name"):
        jobs(["-"], ["out/"], {})
    assert jobs(["-"], ["out/"], {}, naming=NamingOptions(frames=True))[0].sinks == ["out/"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in ("10.jpg", "2.jpg", "clip.mp4", "a.gif", ".hidden.jpg", "half.jpg.part", "readme.md", "sub/2.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("output", ["out/", "out"])
def test_a_folder_of_all_kinds_keeps_every_name(photos: Path, output: str) -> None:
    left_out = LeftOut()
    planned = jobs(["photos"], [output], {"matte": output.replace("out", "mattes")}, left_out=left_out)
    assert [job.sinks[0] for job in planned] == ["out/2.png", "out/10.png", "out/a.gif", "out/clip.mp4",
                                                 "out/sub/2.png"]
    assert [job.options["matte"] for job in planned] == [
        "mattes/2.png", "mattes/10.png", "mattes/a.mkv", "mattes/clip.mkv", "mattes/sub/2.png"]
    assert left_out.to_dict() == {
        "no picture and no film": {"count": 1, "names": ["photos/readme.md"]},
        "still being written, as the name says": {"count": 1, "names": ["photos/half.jpg.part"]}}


def test_of_a_folder_only_what_matches(photos: Path) -> None:
    assert [job.source for job in jobs(["photos"], ["out"], {"only": "2.*"})] == ["photos/2.jpg", "photos/sub/2.jpg"]
    with pytest.raises(SourceError, match=r"nothing in the folder photos matches '\*.webp'"):
        jobs(["photos"], ["out"], {"only": "*.webp"})


@pytest.mark.parametrize("output", ["film.mp4", "f_%03d.png", "-"])
def test_a_film_of_a_folders_pictures_is_one_job(photos: Path, output: str) -> None:
    assert jobs(["photos"], [output], {"only": "*.jpg"}) == [Job("photos", [output], {"only": "*.jpg"})]


def test_a_folder_is_not_a_film_and_its_files_at_once(photos: Path) -> None:
    with pytest.raises(OptionError, match="in two calls"):
        jobs(["photos"], ["out/", "film.mp4"], {})


def test_the_output_folder_is_no_input(photos: Path) -> None:
    (photos / "photos" / "done").mkdir()
    (photos / "photos" / "done" / "2.png").write_bytes(b"")
    left_out = LeftOut()
    assert len(jobs(["photos"], ["photos/done"], {}, left_out=left_out)) == 5
    assert left_out.names["the output folder itself"] == ["photos/done"]


@pytest.mark.parametrize(("given", "name"), [
    ({}, "p.png"), ({"background": "none"}, "p.png"), ({"background": "blur"}, "p.jpg"),
    ({"show_matte": True}, "p.jpg")])
def test_a_jpeg_becomes_png_unless_there_is_a_background(given: dict[str, object], name: str) -> None:
    assert jobs(["p.jpg", "z.mp4"], ["out/"], given)[0].sinks == [f"out/{name}"]


@pytest.mark.parametrize(("format", "given", "name"), [
    ("webp", {}, "p.webp"), ("tiff", {"background": "blue"}, "p.tiff"), ("jpg", {"background": "blur"}, "p.jpg")])
def test_the_format_of_pictures_can_be_chosen(format: str, given: dict[str, object], name: str) -> None:
    first, second = jobs(["p.png", "z.mp4"], ["out/"], given, naming=NamingOptions(format=format))
    assert (first.sinks, second.sinks) == ([f"out/{name}"], ["out/z.mp4"])


def test_jpeg_without_a_background_is_refused() -> None:
    with pytest.raises(OptionError, match="holds no transparency: give --background"):
        jobs(["p.png", "z.mp4"], ["out/"], {}, naming=NamingOptions(format="jpg"))


def test_outputs_that_exist_are_refused_before_anything_is_done(photos: Path) -> None:
    (photos / "out").mkdir()
    (photos / "out" / "10.png").write_bytes(b"")
    planned = jobs(["photos"], ["out"], {})
    with pytest.raises(SinkError, match=r"nothing was done: 1 of 5 outputs exist \(out/10.png\)"):
        refuse_at_once(planned)
    refuse_at_once(jobs(["photos"], ["out"], {"overwrite": True}))


def test_an_output_that_is_an_input_is_refused_whatever_the_flags(photos: Path) -> None:
    (photos / "photos" / "2.png").write_bytes(b"")
    planned = jobs(["photos/2.jpg", "photos/2.png"], ["photos"], {"overwrite": True, "background": "blue"})
    with pytest.raises(SinkError, match=r"photos/2\.jpg, photos/2\.png would be written over an input"):
        refuse_at_once(planned)
    (photos / "link").symlink_to(photos / "photos")
    with pytest.raises(SinkError, match="over an input"):
        refuse_at_once(jobs(["photos/clip.mp4", "photos/a.gif"], ["link/"], {"overwrite": True}))


def test_what_a_film_of_a_folder_leaves_out_is_told(tmp_path: Path) -> None:
    stills.folder(tmp_path / "shots", ["a.png", "b.png"])
    (tmp_path / "shots" / "more").mkdir()
    (tmp_path / "shots" / "notes.txt").touch()
    left_out = LeftOut()
    single, = jobs([str(tmp_path / "shots")], ["o.mp4"], {}, left_out=left_out)
    assert single.sinks == ["o.mp4"]
    assert left_out.lines() == [f"2 left out, no picture of the folder itself, of which one film is made: "
                                f"{tmp_path / 'shots' / 'more'}, {tmp_path / 'shots' / 'notes.txt'}"]
