"""What PyInstaller cannot see by itself: files that are no modules, modules that are loaded by name, and which of the
imports within functions a program has to name itself.

    datas            the models, the table of what containers keep, the player, the studio's page; and the METADATA of
                     the libraries, for `streamseg info`
    hiddenimports    every module of streamseg: methods, runtimes and commands are loaded by their names
    excludedimports  large libraries of the extras: a program that wants one says so, as with --hidden-import keras
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from streamseg.freezing import LEFT_OUT, LIBRARIES

PACKAGE = Path(__file__).parents[1]


def _files() -> Iterator[tuple[str, str]]:
    """(file, folder in the frozen program) of everything in the package that is no Python."""
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE.parent)
        if path.is_file() and path.suffix not in (".py", ".pyc", ".pyi"):
            yield str(path), str(inside.parent)


def _metadata() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        for file in files:
            if file.name == "METADATA" and re.search(r"\.dist-info$", str(file.parent)):
                yield str(file.locate()), str(file.parent)


def _modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if all(part.isidentifier() for part in parts) and parts[-1] != "__main__":
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


datas = [*_files(), *_metadata()]
hiddenimports = list(_modules())
excludedimports = list(LEFT_OUT)
