"""What streamseg imports is what pyproject.toml says that it needs."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONTENT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = CONTENT["project"]
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


def pins() -> dict[str, str]:
    """constraints.txt: normal name -> version."""
    lines = (line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    return {normal(name): version for name, _, version in lines}


def all_extras() -> dict[str, list[Requirement]]:
    """The base's requirements under "", and each extra's."""
    groups = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


def test_every_dependency_has_a_lower_bound_and_a_tested_version_at_or_above_it() -> None:
    tested = pins()
    for extra, requirements in all_extras().items():
        for item in requirements:
            name = normal(item.name)
            if name == "streamseg":
                assert item.extras <= set(PROJECT["optional-dependencies"])
                continue
            assert [part.operator for part in item.specifier] == [">="], (extra, str(item))
            assert item.specifier.contains(tested[name]), (extra, str(item), tested[name])


def test_the_tested_versions_admit_each_other() -> None:
    """What constraints.txt names can be installed together: a pin that another package forbids is a failed install."""
    tested, refused, seen = pins(), [], 0
    for name in tested:
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for item in map(Requirement, lines):
            needed = normal(item.name)
            if needed in tested and (item.marker is None or item.marker.evaluate({"extra": ""})):
                seen += 1
                if not item.specifier.contains(tested[needed], prereleases=True):
                    refused.append(f"{name} needs {item}, constraints.txt has {tested[needed]}")
    assert refused == []
    assert seen > 20


def test_the_source_distribution_holds_what_is_tracked() -> None:
    """Its README, its tests and its Dockerfile name files that would otherwise be missing."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("what is tracked is known to git alone")
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split("\n")
    included = CONTENT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    top = {name.partition("/")[0] for name in listed if name}
    assert top - {".gitignore", "pyproject.toml"} == set(included)  # hatchling takes these two by itself
