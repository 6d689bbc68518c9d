"""What streamseg's modules log while a command runs: a line each on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from .text import one_line


class MessageHandler(logging.Handler):
    """Writes each message as ``streamseg: TEXT``. ``before`` clears a line that is redrawn."""

    def __init__(self, before: str = "") -> None:
        super().__init__(logging.INFO)
        self._before = before

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        click.echo(f"{self._before}streamseg: {one_line(record.getMessage())}", err=True)


@contextmanager
def messages_shown(before: str = "") -> Iterator[None]:
    """Show the messages during the block. Afterwards the logger is as before."""
    logger, handler = logging.getLogger("streamseg"), MessageHandler(before)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
