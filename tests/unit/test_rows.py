"""ROWS.md names tests: each is there, and each row has some or says that there is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TEXT, BEHIND = (TESTS / "ROWS.md").read_text(encoding="utf-8").split("\n## Against 5659d4a\n")
WANTED = {"A": 15, "B": 7, "C": 6}  # rows of each letter; those of D have names


def named(text: str) -> Iterator[tuple[str, str | None]]:
    """(module, test) of each test that a text names; the test is None where a module is named."""
    module = None
    for word in re.findall(r"`([^`]+)`", text):
        if re.fullmatch(r"(unit|media|browser|cluster|training)/(\w+/)?test_\w+", word):
            module = word
            yield module, None
        elif word.startswith("test_"):
            assert module is not None, f"{word} stands before any module"
            yield module, word


@cache
def defined(module: str) -> frozenset[str]:
    """The test functions of a module under tests/."""
    found = ast.walk(ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8")))
    return frozenset(item.name for item in found if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))


def rows() -> dict[str, str]:
    """row -> the column of its tests"""
    lines = [[part.strip() for part in line.strip("| ").split(" | ")] for line in TEXT.splitlines()
             if re.match(r"\| [A-D][ \d]", line)]
    assert all(len(line) == 3 for line in lines)
    assert len({line[0] for line in lines}) == len(lines)
    return {line[0]: line[2] for line in lines}


def test_every_row_has_a_line() -> None:
    numbered = {name for name in rows() if not name.startswith("D")}
    assert numbered == {f"{letter}{number}" for letter, count in WANTED.items() for number in range(1, count + 1)}
    assert len(rows()) - len(numbered) == 12


def test_every_row_was_tried_against_the_old_commit_or_is_named_as_not() -> None:
    lines = [re.split(r" \| ", line.strip("| ")) for line in BEHIND.splitlines() if re.match(r"\| \w", line)]
    assert {len(line) for line in lines} == {4}
    tried = {line[0] for line in lines}
    left_out = BEHIND.rpartition("Not shown by a command here:")[2]
    assert {row for row in rows() if row not in tried and row.removeprefix("D ") not in left_out} == set()


@pytest.mark.parametrize("row", rows())
def test_a_row_names_tests_or_says_that_there_are_none(row: str) -> None:
    tests = rows()[row]
    assert tests == "none" or [test for _, test in named(tests) if test is not None]


def test_every_test_that_is_named_is_there() -> None:
    found = list(named(TEXT))
    assert len(found) > 150
    assert [f"{module}::{test}" for module, test in found if test is not None and test not in defined(module)] == []


def test_a_test_that_is_gone_would_be_found() -> None:
    assert list(named("`unit/test_rows`: `test_every_row_has_a_line`, `test_gone`")) == [
        ("unit/test_rows", None), ("unit/test_rows", "test_every_row_has_a_line"), ("unit/test_rows", "test_gone")]
    assert "test_every_row_has_a_line" in defined("unit/test_rows")
    assert "test_gone" not in defined("unit/test_rows")
