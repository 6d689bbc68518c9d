"""The steps of the Dockerfile, for tests: they are read with dockerfile-parse and run without a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Stage:
    """One FROM and what follows. ``steps``: (instruction in capitals, its text) in the file's order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def one(self, instruction: str) -> str:
        """The text of the only step with this instruction."""
        found = [text for name, text in self.steps if name == instruction]
        assert len(found) == 1, (instruction, found)
        return found[0]

    def variables(self) -> dict[str, str]:
        """What ENV sets, not expanded."""
        pairs = [item for name, text in self.steps if name == "ENV" for item in shlex.split(text)]
        return dict(item.split("=", 1) for item in pairs)

    def copies(self) -> list[tuple[dict[str, str], list[str], str]]:
        """Of every COPY: its flags, its sources, where to."""
        found = []
        for name, text in self.steps:
            if name == "COPY":
                words = text.split()
                flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
                paths = [word for word in words if not word.startswith("--")]
                found.append((flags, paths[:-1], paths[-1]))
        return found


def stages() -> list[Stage]:
    """The Dockerfile's stages. Imports dockerfile-parse: the caller has skipped where it is missing."""
    from dockerfile_parse import DockerfileParser

    with open(ROOT / "Dockerfile", "rb") as file:
        structure = DockerfileParser(fileobj=file).structure
    found: list[Stage] = []
    for step in structure:
        instruction, text = step["instruction"], step["value"]
        if instruction == "FROM":
            base, _, name = text.partition(" AS ")
            found.append(Stage(base, name))
        elif found and instruction != "COMMENT":
            found[-1].steps.append((instruction, text))
    return found


def build(stage: Stage, folder: Path, machine: str, *, timeout: float) -> Path:
    """Run a stage that installs, with its absolute folders below ``folder``; returns ``folder``.

    ``machine``: amd64 or arm64, what buildx gives as TARGETARCH. COPY takes from the checkout.
    """
    arguments = {text.partition("=")[0]: text.partition("=")[2] for name, text in stage.steps if name == "ARG"}
    places = {place: f"{folder}{place}" for place in ("/opt/streamseg", "/var/lib/streamseg", "/tmp/wheel", "/src")}
    variables = {**os.environ, **arguments, **stage.variables(), "TARGETARCH": machine,
                 "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    variables.pop("PYTHONPATH", None)
    work, shell = folder, ["/bin/sh", "-c"]
    for name, text in stage.steps:
        if name == "WORKDIR":
            work = Path(moved(text, places))
            work.mkdir(parents=True, exist_ok=True)
        elif name == "SHELL":
            shell = json.loads(text)
        elif name == "COPY":
            *sources, target = text.split()
            for source in sources:
                place = work / source if target == "./" else work / target
                copy_tracked(source, place)
        elif name == "RUN":
            done = subprocess.run([*shell, moved(text, places)], cwd=work, env=variables, timeout=timeout,
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
    return folder


def moved(text: str, places: Mapping[str, str]) -> str:
    """``text`` with the absolute folders of the image replaced by others."""
    pattern = "|".join(re.escape(place) for place in places)
    return re.sub(rf"(?<![\w.])(?:{pattern})(?![\w-])", lambda found: places[found.group()], text)


def copy_tracked(source: str, place: Path) -> None:
    """Copy a file or folder of the checkout without Python's caches, as .dockerignore says."""
    subprocess.run(["mkdir", "-p", str(place.parent)], check=True)
    subprocess.run(["cp", "-r", str(ROOT / source), str(place)], check=True)
    subprocess.run(["find", str(place), "-name", "__pycache__", "-prune", "-exec", "rm", "-r", "{}", "+"], check=True)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder, links not followed, as an image's layer counts them."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
