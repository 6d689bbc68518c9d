"""One field of Options, one flag."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from streamseg.cli import group
from streamseg.cli.flags import given_options
from streamseg.cli.run import run
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.validation import default_of

CHECKED = {"every": "3", "roi": "0,0,8,8", "region": "+8,8"}  # texts whose value is checked at once
FIELDS = {item.name: item for item in fields(Options)}


def a_value(item: Field[Any]) -> tuple[list[str], Any]:
    """Words for the command line that set a field to something else than its default, and that value."""
    default, rules = default_of(item), item.metadata
    word = (rules["flag"] or f"--{item.name.replace('_', '-')}").split("/")
    if isinstance(default, bool):
        return ([word[1] if default else word[0]], not default)
    if isinstance(default, dict):
        return [word[0], "a=1", word[0], "b=x=y"], {"a": "1", "b": "x=y"}
    if rules["choices"]:
        return [word[0], rules["choices"][-1]], rules["choices"][-1]
    if item.name in CHECKED:
        return [word[0], CHECKED[item.name]], CHECKED[item.name]
    if "Fraction" in str(item.type):
        return [word[0], "29.97"], "29.97"
    if "int" in str(item.type):
        return [word[0], "7"], 7
    return ([word[0], "0.25"], 0.25) if "float" in str(item.type) else ([word[0], "text"], "text")


def parsed(*words: str) -> dict[str, Any]:
    context = run.make_context("run", ["in.mp4", "-o", "out.mp4", *words])
    return given_options({name: context.params[name] for name in FIELDS})


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_one_flag_that_sets_it(name: str) -> None:
    words, value = a_value(FIELDS[name])
    assert parsed(*words) == {name: value}
    made = getattr(Options.of({name: value}), name)
    assert made != default_of(FIELDS[name])


def test_flags_not_on_the_line_are_left_to_options() -> None:
    assert parsed() == {}


def test_there_is_no_other_flag_than_the_fields_and_the_general_ones() -> None:
    names = {item.name for item in run.params if isinstance(item, click.Option)}
    assert names - set(FIELDS) == {"outputs", "json", "quiet", "verbose", "format", "frames"}


@pytest.mark.parametrize("name", FIELDS)
def test_help_lists_a_flag_under_its_group_with_choices_and_default(name: str) -> None:
    text = CliRunner().invoke(group, ["run", "--help"], terminal_width=400, prog_name="streamseg").output
    item = FIELDS[name]
    section = text.partition(f"\n{item.metadata['group']}:\n")[2].partition("\n\n")[0]
    spelling = (item.metadata["flag"] or f"--{name.replace('_', '-')}").split("/")[0]
    line = next(line for line in section.splitlines() if line.strip().startswith(f"{spelling} "))
    start = section.index(line)
    assert item.metadata["help"].split(".")[0] in section[start:]
    if item.metadata["choices"]:
        assert "[" + "|".join(item.metadata["choices"]) + "]" in line


@pytest.mark.parametrize("command", group.list_commands(click.Context(group)))
def test_every_commands_help_ends_with_examples(command: str) -> None:
    result = CliRunner().invoke(group, [command, "--help"])
    assert result.exit_code == 0
    examples = result.output.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert all(line.startswith(f"  streamseg {command}") for line in examples)


@pytest.mark.parametrize("words", [["--set", "block"], ["--set", "=3"], ["--codec-set", "preset"]])
def test_an_assignment_without_name_or_value_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(click.BadParameter, match="is not NAME=VALUE"):
        parsed(*words)


def test_the_range_of_a_flag_is_checked_by_options() -> None:
    with pytest.raises(OptionError, match="blur is 3; allowed is 0 to 1"):
        Options.of(parsed("--blur", "3"))


@pytest.mark.parametrize(("words", "message"), [
    (["--start", "0:01"], "'0:01' is not a number of seconds, as 90 or 1.5"),
    (["--feather", "much"], "'much' is not a number\n"),
    (["--batch", "1.5"], "'1.5' is not a whole number\n"),
])
def test_what_is_no_number_is_refused_in_plain_words(words: list[str], message: str) -> None:
    done = CliRunner().invoke(group, ["run", "in.mp4", "-o", "out.mp4", *words])
    assert (done.exit_code, message in done.stderr) == (2, True)
