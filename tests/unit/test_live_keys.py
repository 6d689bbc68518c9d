"""What keys do, and how they come one by one from a terminal that is then as it was before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from streamseg.live.controls import TerminalKeys
from streamseg.live.keymap import KEYS, backgrounds, changed, pressed
from streamseg.live.types import Scene
from tests.unit.live_fakes import CHOICES, desk


@pytest.mark.parametrize(("keys", "what"), [
    ("n", {"background": "blur"}), ("nn", {"background": "green"}), ("nnn", {"background": "a.jpg"}),
    ("b", {"background": "green"}), ("nb", {"background": "a.jpg"}),
    ("+", {"blur": 0.6}), ("--", {"blur": 0.3}), ("-" * 9, {"blur": 0.0}), ("+" * 9, {"blur": 1.0}),
    ("m", {"mirror": True}), ("mm", {"mirror": False}), ("v", {"matte_view": True}), ("f", {"freeze": True}),
])
def test_a_key_changes_the_look(keys: str, what: dict[str, Any]) -> None:
    look = Scene("a.jpg")
    for key in keys:
        look = pressed(look, key, CHOICES)
    assert look == Scene(**{"background": "a.jpg", **what})


def test_a_key_without_meaning_leaves_the_very_look() -> None:
    look = Scene("blur")
    assert pressed(look, "z", CHOICES) is look


def test_changed_gives_the_very_look_when_nothing_changes() -> None:
    look = Scene("blur")
    assert changed(look, {"background": "blur", "threads": 3}) is look


def test_the_keys_go_through_the_chosen_background_and_those_listed() -> None:
    assert backgrounds("x.png", "a.jpg, blur,a.jpg") == ("x.png", "a.jpg", "blur")
    assert backgrounds("blur", None)[0] == "blur"
    assert len(backgrounds(None, None)) >= 2


def test_keys_reach_control_and_q_ends() -> None:
    made, state, told = desk("n+p q")
    assert [made() for _ in range(5)] == [False, False, False, False, True]
    assert state.scene.background == "blur"
    assert state.scene.blur == 0.6
    assert not state.paused  # p, then the space bar, which is p too
    assert told == ["paused: only the background is shown", "resumed"]


@pytest.mark.parametrize("key", ["q", "\x1b"])
def test_q_and_escape_end(key: str) -> None:
    assert desk(key)[0]() is True


def test_a_key_can_be_given_an_action() -> None:
    done: list[str] = []
    made, _, _ = desk("rr")
    made.on_key("r", lambda: done.append("r"))
    made()
    made()
    assert done == ["r", "r"]
    assert set(KEYS) >= {"n", "b", "+", "-", "v", "f", "m", "p", "r", "s", "q"}


# --- the terminal -------------------------------------------------------------------------------

@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Any]]:
    """(the user's end, ours, which is standard input)"""
    pty = pytest.importorskip("pty", reason="terminals are set by termios")
    user, ours = pty.openpty()
    with os.fdopen(ours) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield user, stream
    with suppress(OSError):
        os.close(user)


@pytest.mark.parametrize(("sent", "pressed"), [
    (b"\x1b[C", ""), (b"\x1bOP", ""), (b"\x1b[1;5D", ""), (b"\x1b[15~", ""), (b"\x1b[I", ""), (b"\x1b[", ""),
    (b"\x1b[[A", ""), (b"\x1bq", ""), (b"\x1b", "\x1b"), (b"n\x1b[Cm", "nm"), (b"\x1b[A\x1b[Bn", "n"),
    ("né".encode(), "né"), (b"n" * 70, "n" * 70),
], ids=repr)
def test_what_an_arrow_key_sends_is_no_key_and_escape_alone_is(terminal: tuple[int, Any], sent: bytes,
                                                               pressed: str) -> None:
    with TerminalKeys() as keys:
        os.write(terminal[0], sent)
        assert "".join(keys() for _ in range(80)) == pressed


def test_an_arrow_key_whose_bytes_come_in_two_parts_does_not_end_the_call(terminal: tuple[int, Any],
                                                                          monkeypatch: pytest.MonkeyPatch
                                                                          ) -> None:
    sizes, read = iter([1, 64]), os.read
    with TerminalKeys() as keys:
        os.write(terminal[0], b"\x1b[C")
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, next(sizes)))
        assert keys() == ""
        assert list(sizes) == []


def test_in_the_background_of_a_shell_the_terminal_is_left_alone(terminal: tuple[int, Any],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets or reads it there is stopped: SIGTTOU, SIGTTIN."""
    import termios
    descriptor, group = terminal[1].fileno(), os.getpgrp()
    before = termios.tcgetattr(descriptor)
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group + 1)
    with TerminalKeys() as keys:
        assert not keys.there
        assert termios.tcgetattr(descriptor) == before
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group)
    with TerminalKeys() as keys:
        during = termios.tcgetattr(descriptor)
        os.write(terminal[0], b"n")
        monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group + 1)  # Ctrl-Z and bg
        assert keys() == ""
    assert termios.tcgetattr(descriptor) == during != before


def test_a_terminal_that_was_closed_is_no_failure(terminal: tuple[int, Any]) -> None:
    with TerminalKeys() as keys:
        os.close(terminal[0])
        assert keys() == ""


@pytest.mark.skipif(os.name != "posix", reason="terminals are set by termios")
def test_keys_of_the_terminal_come_one_by_one_and_it_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch
                                                                            ) -> None:
    import pty
    import termios
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(terminal.fileno())
        with TerminalKeys() as keys:
            assert keys.there
            assert keys() == ""
            os.write(ours, b"bq")
            assert [keys(), keys(), keys()] == ["b", "q", ""]
        assert termios.tcgetattr(terminal.fileno()) == before
    os.close(ours)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with TerminalKeys() as keys:
            assert not keys.there
            assert keys() == ""
