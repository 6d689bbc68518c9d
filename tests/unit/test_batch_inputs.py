"""What inputs become: files, folders, globs and addresses; and lists of them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from streamseg.batch.inputs import Item, LeftOut, expand
from streamseg.batch.lists import rows
from streamseg.errors import OptionError, SourceError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in/10.jpg", "in/9.jpg", "in/a/b/x.mov", "in/a/y.png", "in/z.txt", "in/.dot.png", "in/w.mp4.part",
                 "other/9.jpg", "plain.mp4", "odd[1].png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def found(*inputs: str, only: str | None = None, outputs: tuple[str, ...] = ()) -> dict[str, str]:
    return {item.source: item.name for item in expand(inputs, LeftOut(), only=only, outputs=outputs)}


def test_a_folder_gives_its_files_in_natural_order_and_then_its_subfolders(tree: Path) -> None:
    items = list(expand(["in"], LeftOut()))
    assert [(item.source, item.name) for item in items] == [
        ("in/9.jpg", "9.jpg"), ("in/10.jpg", "10.jpg"), ("in/a/y.png", "a/y.png"), ("in/a/b/x.mov", "a/b/x.mov")]


def test_several_folders_keep_their_own_names(tree: Path) -> None:
    assert found("in/a", "other/") == {"in/a/y.png": "a/y.png", "in/a/b/x.mov": "a/b/x.mov",
                                       "other/9.jpg": "other/9.jpg"}


def test_a_glob_keeps_what_is_below_its_fixed_part(tree: Path) -> None:
    assert found("in/**/*.mov") == {"in/a/b/x.mov": "a/b/x.mov"}
    assert found("in/*.jpg") == {"in/9.jpg": "9.jpg", "in/10.jpg": "10.jpg"}
    assert found("in/*") | {} == {"in/9.jpg": "9.jpg", "in/10.jpg": "10.jpg", "in/a/y.png": "a/y.png",
                                  "in/a/b/x.mov": "a/b/x.mov", "in/z.txt": "z.txt", "in/w.mp4.part": "w.mp4.part"}


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tree: Path) -> None:
    assert found("odd[1].png") == {"odd[1].png": "odd[1].png"}


@pytest.mark.parametrize(("spec", "words"), [("in/*.webm", "matches no file"), ("empty", "nothing in the folder")])
def test_nothing_is_an_error(tree: Path, spec: str, words: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SourceError, match=words):
        found(spec)


def test_what_is_not_taken_is_named_and_counted(tree: Path) -> None:
    (tree / "in" / "loop").symlink_to(tree / "in")
    (tree / "in" / "gone.png").symlink_to(tree / "nowhere.png")
    left_out = LeftOut()
    assert len(list(expand(["in"], left_out, outputs=["in/a"]))) == 2
    assert left_out.to_dict() == {
        "no picture and no film": {"count": 1, "names": ["in/z.txt"]},
        "still being written, as the name says": {"count": 1, "names": ["in/w.mp4.part"]},
        "a link to a folder": {"count": 1, "names": ["in/loop"]},
        "the output folder itself": {"count": 1, "names": ["in/a"]},
        "no file, or a link to nothing": {"count": 1, "names": ["in/gone.png"]}}


def test_many_names_are_counted_and_a_few_listed() -> None:
    left_out = LeftOut()
    for number in range(9):
        left_out.add("why", f"n{number}")
    assert left_out.lines() == ["9 left out, why: n0, n1, n2, n3, n4, ..."]


def test_addresses_and_what_is_missing_are_items(tree: Path) -> None:
    assert found("https://host/a%20b.mp4?x=1", "missing.mp4") == {
        "https://host/a%20b.mp4?x=1": "a b.mp4", "missing.mp4": "missing.mp4"}


# --- lists --------------------------------------------------------------------------------------

def listed(tmp_path: Path, text: str, name: str = "list.csv") -> list[Item]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return list(rows(str(tmp_path / name)))


def test_a_table_names_inputs_outputs_and_options(tmp_path: Path) -> None:
    text = ("\ufeffinput,output,background,blur,audio,set,start\n"
            "a.mp4,day1/x.mov,,0.25,no,key=green block=3,2\n"
            '"b, c.mp4",,beach.jpg,,,,\n')
    assert listed(tmp_path, text) == [
        Item("a.mp4", "a.mp4", {"blur": 0.25, "audio": False, "set": {"key": "green", "block": "3"}, "start": 2.0},
             "day1/x.mov"),
        Item("b, c.mp4", "b, c.mp4", {"background": "beach.jpg"})]


def test_json_lines(tmp_path: Path) -> None:
    text = '{"input": "a.mp4", "blur": 0.5}\n\n{"input": "x/b.png", "output": "b2.webp", "set": {"value": 9}}\n'
    assert listed(tmp_path, text, "list.jsonl") == [
        Item("a.mp4", "a.mp4", {"blur": 0.5}), Item("x/b.png", "b.png", {"set": {"value": 9}}, "b2.webp")]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_stands_between_the_fields_is_as_the_first_line_has_it(tmp_path: Path, mark: str) -> None:
    text = mark.join(("output", "input", "blur")) + "\n" + mark.join(("x.mov", "a.mp4", "0.5")) + "\n"
    assert listed(tmp_path, text) == [Item("a.mp4", "a.mp4", {"blur": 0.5}, "x.mov")]


def test_a_path_a_line(tmp_path: Path) -> None:
    assert listed(tmp_path, "# comment\na.mp4\n\n b c.mp4 \n", "list.txt") == [
        Item("a.mp4", "a.mp4"), Item("b c.mp4", "b c.mp4")]


def test_a_list_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("a.mp4\n", '{"input": "a.mp4"}\n', "input\na.mp4\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert list(rows("-")) == [Item("a.mp4", "a.mp4")]


@pytest.mark.parametrize(("text", "words"), [
    ("input,backgroud\na.mp4,blue\n", "line 2: option is 'backgroud'; allowed are: input, output, start"),
    ("input,blur\na.mp4,much\n", "line 2: blur is 'much'; it must be a number"),
    ("input,audio\na.mp4,maybe\n", "line 2: audio is 'maybe'; it must be true or false"),
    ("input,set\na.mp4,x\n", "line 2: set is 'x'; it must be NAME=VALUE"),
    ("input,output\na.mp4,../x.mp4\n", "line 2: output is '../x.mp4'; it must be a name below the output folder"),
    ("input,output\na.mp4,/x.mp4\n", "below the output folder"),
    ("input,blur\na.mp4\n,0.5\n", "line 3: no input"),
    ("input\na.mp4,b.mp4\n", "line 2: more fields"),
    ("file,blur\na.mp4,0.5\n", "the first line must name the columns"),
    ("file;blur\na.mp4;0.5\n", "the first line must name the columns"),
    ("input,backgroud\na.mp4,\n", "line 2: option is 'backgroud'"),  # though nothing stands there
    ("input,backgroud\na.mp4,blue\n", "did you mean background?")])
def test_a_row_that_says_what_is_not_known_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(OptionError) as error:
        listed(tmp_path, text)
    assert words in str(error.value)


@pytest.mark.parametrize(("text", "words"), [("{no json\n", "line 1: no JSON"), ("[1]\n", "line 1: '[1]' is no object"),
                                             ('{"input": 3}\n', "line 1: no input")])
def test_a_json_line_that_is_none_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(OptionError) as error:
        listed(tmp_path, text, "list.jsonl")
    assert words in str(error.value)


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        list(rows(str(tmp_path / "none.csv")))
    (tmp_path / "latin.csv").write_bytes(b"input\n\xe4.mp4\n")
    with pytest.raises(SourceError, match="not UTF-8"):
        list(rows(str(tmp_path / "latin.csv")))
