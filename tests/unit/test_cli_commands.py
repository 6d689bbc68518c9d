"""The commands that run nothing (completion, version, info, methods), and README about them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click
import pytest

from streamseg.cli import cli
from streamseg.cli.text import clock, one_line, size


@pytest.mark.parametrize(("words", "current", "wanted"), [
    ("streamseg r", "r", ["run"]), ("streamseg run --meth", "--meth", ["--method"]),
    ("streamseg run --method kme", "kme", ["kmeans"]), ("streamseg run --fit c", "c", ["cover", "contain"]),
    ("streamseg methods ch", "ch", ["chroma"]), ("streamseg run --method chroma --set k", "k", ["key="]),
    ("streamseg compare a.mp4 --methods knn,mo", "knn,mo", ["knn,mog2"]),
    ("streamseg completion z", "z", ["zsh"])])
def test_completion_knows_commands_flags_methods_and_choices(words: str, current: str, wanted: list[str],
                                                             capsys: pytest.CaptureFixture[str],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_STREAMSEG_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        cli([])
    found = [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]
    assert found[:len(wanted)] == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["completion", shell]) == 0
    assert f"_STREAMSEG_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import streamseg
    assert cli(["--version"]) == 0
    assert capsys.readouterr().out == f"streamseg {streamseg.__version__}\n"


def test_info_json_has_versions_codecs_devices_runtimes(capsys: pytest.CaptureFixture[str]) -> None:
    import av
    import numpy
    assert cli(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["numpy"] == numpy.__version__
    assert found["versions"]["av"] == av.__version__
    assert "libx264" in found["codecs"]["encoders"]
    assert "h264" in found["codecs"]["decoders"]
    assert found["devices"]["cores"] == len(os.sched_getaffinity(0))
    assert found["runtimes"]["litert"].startswith("ai-edge-litert ")


def test_methods_lists_every_one_and_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    from streamseg.segment import DEFAULT, METHODS
    assert cli(["methods"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed for name in METHODS)
    assert f"{DEFAULT} (default)" in listed
    assert cli(["methods", "adaptive"]) == 0
    explained = capsys.readouterr().out
    assert all(part in explained for part in ("good for", "bad for", "source", "block", "11", "odd"))
    assert cli(["methods", "adaptive", "--json"]) == 0
    method, = json.loads(capsys.readouterr().out)["methods"]
    assert {item["name"]: item["default"] for item in method["parameters"]}["block"] == 11
    assert cli(["methods", "nothing"]) == 2


def test_text_of_messages() -> None:
    assert one_line("a\nb\x1b[31m\tc") == "a b\\x1b[31m\\tc"
    assert [clock(seconds) for seconds in (0, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]
    assert [size(count) for count in (None, 5, 1500, 2_500_000, 3 * 10 ** 9)] == [
        "", "5 B", "1.5 kB", "2.5 MB", "3.0 GB"]


@pytest.mark.parametrize(("word", "told"), [("methds", "No such command 'methds'. Did you mean 'methods'?"), (
    __file__, "To remove a file's background: streamseg run FILE -o OUTPUT"), ("a.mp4", "No such command 'a.mp4'.\n")])
def test_what_is_no_command_is_answered_with_what_may_be_meant(word: str, told: str,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([word]) == 2
    assert told in capsys.readouterr().err


def test_click_knows_the_group() -> None:
    from streamseg.cli import group
    assert isinstance(group, click.Group)
    assert group.list_commands(click.Context(group)) == [
        "batch", "bench", "cameras", "compare", "completion", "demo", "doctor", "eval", "info", "live", "methods",
        "run", "serve", "watch"]


def test_what_help_says_of_a_command_is_what_the_command_says() -> None:
    from streamseg.cli.group import COMMANDS, group
    context = click.Context(group)
    said = {name: command.get_short_help_str(limit=200) for name in COMMANDS
            if (command := group.get_command(context, name))}
    assert said == {name: line for name, (_, line) in COMMANDS.items()}


ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_manual_names_every_method_and_the_default() -> None:
    from streamseg.segment import DEFAULT, METHODS
    manual = page("streamseg/MANUAL.md")
    assert [name for name in METHODS if f"`{name}`" not in manual] == []
    assert f"| `{DEFAULT}` (default) |" in manual
    assert manual.count("` (default) |") == 1


def test_the_manual_names_every_command() -> None:
    from streamseg.cli import group
    manual = page("streamseg/MANUAL.md")
    assert [name for name in group.list_commands(click.Context(group)) if f"| `streamseg {name}" not in manual] == []


def test_the_readme_is_short_and_has_one_test_command() -> None:
    lines = page("README.md").splitlines()
    assert len(lines) <= 150
    commands = [line for line in lines if line.endswith(" && python -m pytest")]
    assert commands == ['python -m pip install -e ".[test]" -c constraints.txt && python -m pytest']


@pytest.mark.parametrize("name", sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "streamseg/**/*.md",
                                        "training/*.md", "benchmarks/*.md", "findings/*.md")
                                        for path in ROOT.glob(pattern)))
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page(name))
    local = [target.partition("#")[0] for target in targets if not target.startswith(("http", "#", "mailto:"))]
    assert [target for target in local if not (ROOT / name).parent.joinpath(target).exists()] == []


def test_no_line_ends_with_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    """What is pasted into an issue."""
    assert cli(["methods"]) == 0
    out = capsys.readouterr().out
    assert "  threshold  " in out
    assert [line for line in out.splitlines() if line != line.rstrip()] == []
