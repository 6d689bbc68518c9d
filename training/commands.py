"""What every command of training does with an error that its user can mend, and the numbers it takes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps

from streamseg.errors import StreamsegError

# Pixels: geometry.net_size has no smaller picture than 32 x 32.
LEAST_BUDGET = 32 * 32


def command(main: Callable[..., None]) -> Callable[..., None]:
    """``main`` that ends the program with one line and the error's exit code, without a traceback."""

    @wraps(main)
    def run(*args: object) -> None:
        try:
            main(*args)
        except StreamsegError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)

    return run


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse: whole numbers from ``least`` on."""

    def whole(text: str) -> int:
        with suppress(ValueError):
            if (value := int(text)) >= least:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number, {least} or more")

    return whole


def positive(text: str) -> float:
    """A type for argparse: numbers above 0."""
    with suppress(ValueError):
        if (value := float(text)) > 0:  # not-a-number is not
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number above 0")
