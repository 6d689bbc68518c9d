"""What streamseg logs during a test, as lines."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("streamseg")


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def messages() -> list[str]:
    """The messages from now on, until the test ends: ``forget_messages`` is called then (tests/conftest.py)."""
    handler = Lines()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    return handler.lines


def forget_messages() -> None:
    for handler in [item for item in LOGGER.handlers if isinstance(item, Lines)]:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)
