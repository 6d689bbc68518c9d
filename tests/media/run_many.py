"""Runs the command line once for each line of standard input (JSON: a list of arguments) in one process,
and answers each with a line of JSON: exit code and what stood on standard error. tests/media/test_mutations
starts it: 200 runs in a few processes instead of 200 processes, and a process that dies is still noticed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from streamseg.cli import cli


def main() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        said, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
            code = cli(json.loads(line))
        answers.write(json.dumps({"code": code, "stderr": told.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
