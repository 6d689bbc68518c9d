"""The Dockerfile's steps run one by one: the wheels of both processors, and the server as the image starts it.

No container engine is needed. The first stage runs here with its folders elsewhere; the last stage's files go into a
plain Debian that debootstrap makes, and its commands run there by chroot as the image's user.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container_tools import Stage, build, size_of, stages

pytest.importorskip("dockerfile_parse", reason="dockerfile-parse is not installed: pip install -e '.[test-container]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800),
              pytest.mark.skipif(not os.environ.get("STREAMSEG_CONTAINER"),
                                 reason="it takes minutes and a gigabyte: STREAMSEG_CONTAINER=1 runs it")]

MACHINES = {"amd64": 62, "arm64": 183}  # e_machine in the header of an ELF file: x86-64, AArch64
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
TOKEN = "t0ken"


@pytest.fixture(scope="module")
def parts() -> list[Stage]:
    return stages()


@pytest.fixture(scope="module", params=MACHINES)
def built(request: pytest.FixtureRequest, parts: list[Stage], tmp_path_factory: pytest.TempPathFactory
          ) -> Iterator[tuple[str, Path]]:
    """The processor, and the folder below which the first stage has installed."""
    if sys.platform != "linux" or sys.version_info[:2] != (3, 11):
        pytest.skip("the Dockerfile's steps run on Linux with Python 3.11, as in its base image")
    folder = tmp_path_factory.mktemp(request.param)
    yield request.param, build(parts[0], folder, request.param, timeout=1700)
    shutil.rmtree(folder)


def elf_machines(folder: Path) -> set[int]:
    """For which processors the libraries and programs below a folder are."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                head = file.read(20)
            if head[:4] == b"\x7fELF":
                found.add(int.from_bytes(head[18:20], "little"))
    return found


def test_the_wheels_are_the_processors_own_and_below_700_mb(built: tuple[str, Path]) -> None:
    machine, folder = built
    prefix = folder / "opt/streamseg"
    assert elf_machines(prefix) == {MACHINES[machine]}
    assert size_of(prefix) < 700e6
    assert (prefix / "streamseg/weights/person-medium.tflite").is_file()
    assert [path.name.partition("-")[0] for path in prefix.glob("opencv*.dist-info")] == ["opencv_python_headless"]
    assert (prefix / "streamseg/serve/studio/static/index.html").is_file()


@pytest.fixture(scope="module")
def root(built: tuple[str, Path], parts: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A plain Debian with the last stage's files, for this machine's processor."""
    machine, folder = built
    if machine != HERE:
        pytest.skip(f"this processor does not run programs for {machine}")
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("chroot needs root, and debootstrap: apt-get install debootstrap")
    place = tmp_path_factory.mktemp("root") / "root"
    done = subprocess.run(["debootstrap", "--variant=minbase", "--include=python3", "bookworm", str(place)],
                          capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        pytest.skip(f"debootstrap made no Debian: {done.stdout[-300:]}{done.stderr[-300:]}")
    (place / "usr/local/bin/python").symlink_to("/usr/bin/python3")  # where the base image has it
    copy_last_stage(parts[1], folder, place)
    yield place
    shutil.rmtree(place)


def copy_last_stage(image: Stage, folder: Path, place: Path) -> None:
    """COPY and WORKDIR of the last stage. The scripts' first line names this machine's Python: the image's."""
    for flags, sources, target in image.copies():
        shutil.copytree(f"{folder}{sources[0]}", f"{place}{target}", symlinks=True)
        if "chown" in flags:
            os.chown(f"{place}{target}", *map(int, flags["chown"].split(":")))
    (place / image.one("WORKDIR").lstrip("/")).mkdir()
    for script in (place / "opt/streamseg/bin").iterdir():
        lines = script.read_bytes().split(b"\n", 1)
        script.write_bytes(b"#!/usr/local/bin/python\n" + lines[1])


def in_image(image: Stage, root: Path, words: list[str], **more: str) -> list[str]:
    """The command that runs ``words`` in the image, as its user and with its variables alone."""
    start = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    variables = {name: value.replace("$PATH", start) for name, value in image.variables().items()} | more
    return ["chroot", f"--userspec={image.one('USER')}", str(root), "/usr/bin/env", "-i",
            *(f"{name}={value}" for name, value in variables.items()), *words]


def test_the_server_starts_as_the_images_user_and_the_health_check_passes(root: Path, parts: list[Stage]) -> None:
    image = parts[1]
    command = [*json.loads(image.one("ENTRYPOINT")), *json.loads(image.one("CMD"))]
    check = json.loads(image.one("HEALTHCHECK").partition(" CMD ")[2])
    with socket.socket() as listener:  # a chroot has the machine's network, unlike a container
        try:
            listener.bind(("", int(image.one("EXPOSE"))))
        except OSError as error:
            pytest.skip(f"the image's port is taken on this machine: {error}")
    refused = subprocess.run(in_image(image, root, command), capture_output=True, text=True, check=False, timeout=120)
    assert refused.returncode == 2
    assert "STREAMSEG_TOKEN" in refused.stderr
    assert subprocess.run(in_image(image, root, check), check=False, capture_output=True, timeout=60).returncode
    server = subprocess.Popen(in_image(image, root, command, STREAMSEG_TOKEN=TOKEN))
    try:
        end = time.monotonic() + 240
        while subprocess.run(in_image(image, root, check), check=False, capture_output=True, timeout=60).returncode:
            assert server.poll() is None
            assert time.monotonic() < end, "the health check never passed"
        assert (root / "var/lib/streamseg").stat().st_uid == int(image.one("USER").split(":")[0])
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=120)
    assert code in (-signal.SIGTERM, 128 + signal.SIGTERM)  # it ended by itself, as the signal says


def test_a_picture_is_cut_out_in_the_image(root: Path, parts: list[Stage]) -> None:
    """The net, the codecs and the refinement work without one of the libraries that a desktop has."""
    image = parts[1]
    folder = root / "var/lib/streamseg"
    write = "import numpy, cv2; cv2.imwrite('/var/lib/streamseg/in.png', numpy.full((64, 96, 3), 90, numpy.uint8))"
    for words in (["python", "-c", write],
                  ["streamseg", "run", "/var/lib/streamseg/in.png", "-o", "/var/lib/streamseg/out.png"]):
        done = subprocess.run(in_image(image, root, words), capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
