"""What every command of training does with an error that its user can mend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

from streamseg.errors import StreamsegError


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
