"""What streamseg imports is what pyproject.toml says that it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# In the place of another package: the demo's second photo, other backends of Keras.
ALTERNATIVES = {"scikit-image", "jax", "torch"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(lines: list[str]) -> set[str]:
    return {normal(re.split(r"[<>=~! ;\[]", line)[0]) for line in lines}


def imported() -> set[str]:
    """Top-level names of the modules that any file of the package imports, wherever in the file."""
    found = set()
    for path in (ROOT / "streamseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {item.name.partition(".")[0] for item in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"streamseg"}


def test_every_import_is_of_a_declared_package() -> None:
    known = required(PROJECT["dependencies"])
    for lines in PROJECT["optional-dependencies"].values():
        known |= required(lines)
    where = packages_distributions()
    # The wheels of OpenCV are alternatives; what is not installed here goes by its own name.
    owners = {name: {normal(item) for item in where.get(name, [name])} for name in imported()}
    undeclared = {name: found for name, found in owners.items() if not found & (known | ALTERNATIVES)}
    assert undeclared == {}
    assert {"numpy", "av", "sklearn", "threadpoolctl"} <= set(owners)


def test_every_base_dependency_has_a_lower_bound_and_a_tested_version() -> None:
    tested = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()
              if "==" in line}
    for line in PROJECT["dependencies"]:
        assert ">=" in line
        assert normal(line.partition(">=")[0]) in tested
