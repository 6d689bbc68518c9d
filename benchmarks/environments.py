"""Virtual environments and work trees that a benchmark makes for itself, and removes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streamseg.errors import StreamsegError

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"(https?|file)://\S+")


class NotToBeHad(StreamsegError):
    """An environment cannot be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter, what must be set for it, and the versions that a result is to name."""

    python: Path
    env: dict[str, str] = field(default_factory=dict)

    def program(self, name: str) -> Path:
        """A command that was installed with a package."""
        return self.python.with_name(name)

    def versions(self, packages: Sequence[str]) -> dict[str, str]:
        """The version of each package that is installed."""
        code = "import sys, importlib.metadata as m\nfor name in sys.argv[1:]: print(name, m.version(name))"
        lines = subprocess.run([str(self.python), "-c", code, *packages], capture_output=True, text=True, check=True,
                               env={**os.environ, **self.env}).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines)


def installed(folder: Path, requirements: Sequence[str], constraints: Path | None = None,
              *, again: Sequence[str] = ()) -> Environment:
    """An environment in ``folder`` with what pip finds for ``requirements``; one that is there already is used.
    ``again``: what is installed anew also then, without its dependencies. Raises NotToBeHad with pip's own reason."""
    environment = Environment(folder / "bin" / "python", {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1"})
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", folder])
        pip(environment, [*requirements, *(["-c", str(constraints)] if constraints else [])])
        done.touch()
    elif again:
        pip(environment, ["--force-reinstall", "--no-deps", *again])
    return environment


def pip(environment: Environment, words: Sequence[str]) -> None:
    """`pip install WORDS` there. Raises NotToBeHad with pip's own reason."""
    named = " ".join(Path(word).name for word in words if word[0] != "-" and not word.endswith(".txt"))
    print(f"  installing {named}", file=sys.stderr, flush=True)
    _run([environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words])


def _run(words: Sequence[str | Path]) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()]
        raise NotToBeHad(ADDRESS.sub("...", lines[-1] if lines else "no reason").removeprefix("ERROR: "))


def commit_of(name: str) -> str:
    """The short hash of a commit. Raises NotToBeHad where the checkout does not know it."""
    found = subprocess.run(["git", "rev-parse", "--short", "--verify", f"{name}^{{commit}}"], capture_output=True,
                           text=True, cwd=ROOT, check=False)
    if found.returncode:
        raise NotToBeHad(f"{name!r} is no commit of this checkout ({found.stderr.strip() or 'git says nothing'}); "
                         "`git log --oneline` names them")
    return found.stdout.strip()


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit in ``folder``, which is made, and removed at the end."""
    _run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", folder, commit])
    try:
        yield folder
    finally:
        _run(["git", "-C", ROOT, "worktree", "remove", "--force", folder])
