"""Messages: logged by the modules, shown by the command line, and nobody else's affair."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import streamseg
from streamseg.cli.messages import MessageHandler, messages_shown

LOGGER = logging.getLogger("streamseg.live.session")


def test_the_command_line_shows_each_message_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with messages_shown():
        LOGGER.info("the camera is back")
        LOGGER.warning("a name\nwith \x1b[31m escapes")
        LOGGER.debug("a detail")
    LOGGER.warning("afterwards")
    shown = capsys.readouterr()
    assert shown.err == "streamseg: the camera is back\nstreamseg: a name with \\x1b[31m escapes\n"
    assert shown.out == ""


def test_a_line_that_is_drawn_over_is_cleared_first(capsys: pytest.CaptureFixture[str]) -> None:
    with messages_shown("\r"):
        LOGGER.info("back")
    assert capsys.readouterr().err == "\rstreamseg: back\n"


def test_the_logger_is_afterwards_as_it_was_whatever_happens() -> None:
    logger = logging.getLogger("streamseg")
    before = logger.level, list(logger.handlers)
    with pytest.raises(KeyboardInterrupt), messages_shown():
        assert any(isinstance(item, MessageHandler) for item in logger.handlers)
        raise KeyboardInterrupt
    assert (logger.level, logger.handlers) == before


def test_in_python_nothing_is_printed_and_a_handler_gets_all() -> None:
    """In a process of its own: pytest has handlers, and Python's last resort prints where there is none."""
    code = ("import logging, sys, streamseg.live.session as module\n"
            "module.LOG.warning('unseen')\n"
            "logging.basicConfig(format='%(name)s %(message)s', stream=sys.stdout)\n"
            "module.LOG.warning('seen')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          cwd=Path(streamseg.__file__).parents[1])
    assert done.stdout == "streamseg.live.session seen\n"
    assert done.stderr == ""
