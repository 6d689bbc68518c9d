"""``streamseg doctor``: what each check says where something is wrong, and one real run of all."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamseg.cli import cli
from streamseg.errors import MissingDependencyError, SinkError, SourceError
from streamseg.live.devices import Camera
from streamseg.tools import doctor
from streamseg.tools.doctor import CHECKS, FAULT, LACKING, OK, Finding, examine, exit_code, hardware, places, software
from streamseg.tools.doctor.trial import GREEN, SIZE, wrong

HERE = Path()


def test_a_real_run_finds_what_every_run_needs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import av
    code = cli(["doctor", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == found["exit_code"] == 0
    assert found["versions"]["av"] == av.__version__
    checks = {item["name"]: item for item in found["checks"]}
    for name in ("libraries", "LiteRT", "model files", "encoders", "decoders", "output folder", "temporary folder",
                 "one frame"):
        assert (checks[name]["state"], checks[name]["remedy"]) == (OK, ""), checks[name]
    assert "libx264" in checks["encoders"]["told"]
    assert "LiteRT (CPU" in checks["one frame"]["told"]
    assert {"camera", "virtual camera", "microphone", "GPU"} <= set(checks)
    assert all(item["remedy"] or item["name"] == "GPU" for item in checks.values() if item["state"] != OK)
    assert list(tmp_path.iterdir()) == []


def _reporting(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor, "examine", lambda folder: iter(findings))


def test_the_report_has_versions_first_and_faults_last_each_with_its_remedy(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _reporting(monkeypatch, Finding("disk", FAULT, "it is full", "make room", True),
               Finding("camera", LACKING, "none", "plug one in"), Finding("codecs", OK, "all"))
    assert cli(["doctor"]) == 1
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "versions"
    after = lines[lines.index("works"):]
    assert after == ["works", "  codecs   all", "optional, and not there", "  camera   none. Remedy: plug one in",
                     "faults", "  disk   it is full. Remedy: make room", "Something that every run needs is wrong."]
    assert cli(["doctor", "--quiet"]) == 1
    assert capsys.readouterr().out.split("\n", 1)[0] == "faults"


@pytest.mark.parametrize(("state", "needed", "code"), [(FAULT, True, 1), (FAULT, False, 0), (LACKING, True, 0),
                                                       (OK, True, 0)])
def test_only_a_fault_in_what_every_run_needs_is_an_exit_code(state: str, needed: bool, code: int) -> None:
    assert exit_code([Finding("other", OK, ""), Finding("x", state, "", "", needed)]) == code


def test_a_check_that_fails_is_a_finding_and_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: Any) -> Any:
        raise KeyError("k")

    def sorry(*_: Any) -> Any:
        raise MissingDependencyError("OpenCV does not load: apt-get install libgl1")

    monkeypatch.setattr(hardware, "gpu", no)
    monkeypatch.setattr(software, "libraries", sorry)
    wanted = {"GPU", "libraries", "output folder"}
    found = {item.name: item for item in examine(HERE, [check for check in CHECKS if check[0] in wanted])}
    assert set(found) == wanted
    assert (found["GPU"].state, found["GPU"].told, found["GPU"].needed) == (FAULT, "KeyError: 'k'", False)
    assert (found["libraries"].state, found["libraries"].needed) == (FAULT, True)
    assert "libgl1" in found["libraries"].told
    assert found["output folder"].state == OK


def test_every_check_is_there() -> None:
    import importlib
    for _, place, _ in CHECKS:
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(f"streamseg.tools.doctor.{module}"), function))


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_faults(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    missing, = places.output_folder(tmp_path / "nowhere")
    assert (missing.state, missing.needed) == (FAULT, True)
    assert "No such file" in missing.told
    assert "another FOLDER" in missing.remedy
    assert places.output_folder(tmp_path)[0].state == OK
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=5_000_000))
    full, = places.output_folder(tmp_path)
    assert (full.state, full.remedy.split(":")[0]) == (FAULT, "make room")
    monkeypatch.setattr(places.tempfile, "NamedTemporaryFile", _no_room)
    full, = places.output_folder(tmp_path)
    assert (full.state, full.remedy) == (FAULT, "make room there, or give another folder")
    assert list(tmp_path.iterdir()) == []


def _no_room(**_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_no_camera_is_optional_and_one_that_does_not_open_a_fault_of_live(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.live import devices
    monkeypatch.setattr(devices, "cameras", list)
    nothing, = hardware.camera(HERE)
    assert (nothing.state, nothing.needed) == (LACKING, False)
    monkeypatch.setattr(devices, "cameras", lambda: [Camera("/dev/video99", "of nobody"), Camera("/dev/video98", "b")])
    first, second = hardware.camera(HERE)
    assert (first.state, first.needed, second.state) == (FAULT, False, FAULT)
    assert "/dev/video99 (of nobody)" in first.told
    assert "video" in first.remedy


class _Opening:
    """Stands for DeviceSource and VirtualSink: opens, or raises ``failure``."""

    failure: Exception | None = None
    device, info = "/dev/video9", SimpleNamespace(width=640, height=480)

    def __init__(self, *_: Any) -> None:
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        pass

    abort = close


def test_a_camera_that_gives_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.live import devices
    from streamseg.source import camera
    monkeypatch.setattr(devices, "cameras", lambda: [Camera("/dev/video9", "C920")])
    monkeypatch.setattr(camera, "DeviceSource", _Opening)
    found, = hardware.camera(HERE)
    assert (found.state, found.told) == (OK, "/dev/video9 (C920) gives pictures of 640 x 480")


@pytest.mark.parametrize(("failure", "loopback", "state", "part"), [
    (None, [], OK, ""), (MissingDependencyError("pip install 'streamseg[camera]'"), [], LACKING, "pip install"),
    (SinkError("modprobe v4l2loopback"), [], LACKING, "modprobe"),
    (SinkError("taken"), ["/sys/devices/virtual/video4linux/video9"], FAULT, "taken")])
def test_the_virtual_camera(failure: Exception | None, loopback: list[str], state: str, part: str,
                            monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.sink.live import virtual_camera
    monkeypatch.setattr(virtual_camera, "VirtualSink", type("Fake", (_Opening,), {"failure": failure}))
    monkeypatch.setattr(hardware, "glob", lambda pattern: loopback)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    found, = hardware.virtual_camera(HERE)
    assert (found.state, found.needed) == (state, False)
    assert part in found.remedy


def test_no_microphone_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.live import microphone

    def none(*_: Any) -> Any:
        raise SourceError("microphone: none")

    monkeypatch.setattr(microphone, "DeviceBlocks", none)
    found, = hardware.microphone(HERE)
    assert (found.state, found.told, found.needed) == (LACKING, "microphone: none", False)


@pytest.mark.parametrize(("devices", "providers", "tensorflow", "state", "part"), [
    ([], [], False, LACKING, "the CPU"), (["/dev/nvidia0"], ["CUDAExecutionProvider"], False, OK, "CUDA"),
    (["/dev/nvidia0"], [], True, OK, "TensorFlow"), (["/dev/nvidia0"], [], False, LACKING, "no runtime")])
def test_the_gpu(devices: list[str], providers: list[str], tensorflow: bool, state: str, part: str,
                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "glob", lambda pattern: devices if "nvidia" in pattern else [])
    monkeypatch.setattr(hardware, "_onnx_providers", lambda: providers)
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda name: tensorflow or None)
    found, = hardware.gpu(HERE)
    assert (found.state, found.needed) == (state, False)
    assert part in found.told


def test_a_runtime_that_is_not_installed_and_one_that_does_not_load(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dying_runtime.py").write_text("import os\nos._exit(3)\n")
    (tmp_path / "failing_runtime.py").write_text("raise ImportError('libx.so.1: not there')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(software, "RUNTIMES", {
        "A": ("no_such_runtime", "a", True), "B": ("no_such_runtime", "b", False),
        "C": ("dying_runtime", "c", True), "D": ("failing_runtime", "d", False), "E": ("json", "e", True)})
    a, b, c, d, e = software.runtimes(HERE)
    assert (a.state, a.needed, a.remedy) == (FAULT, True, "pip install a")
    assert (b.state, b.needed) == (LACKING, False)
    assert (c.state, c.told) == (FAULT, "does not load: it ends the process with 3")
    assert (d.state, d.needed) == (FAULT, False)
    assert d.told.endswith("ImportError: libx.so.1: not there")
    assert e.state == OK


def test_model_files_that_are_not_what_was_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(software.WEIGHTS, folder)
    (folder / "person-medium.keras").unlink()
    with open(folder / "person-medium.tflite", "r+b") as file:
        file.write(b"version https://git-lfs")
    monkeypatch.setattr(software, "WEIGHTS", folder)
    found, = software.model_files(HERE)
    assert (found.state, found.needed) == (FAULT, True)
    assert found.told == "not as shipped: person-medium.keras, person-medium.tflite"


def test_codecs_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "ENCODERS", {"libnothing": ("yuv420p", ""), "ffv1": ("yuv420p", ".mkv"),
                                               "libx264": ("rgba", ".mp4")})
    monkeypatch.setattr(software, "DECODERS", {"nothing": "", "no_other": "films", "h264": ""})
    found = {item.name: item for item in software.codecs(HERE)}
    assert found["encoders"].told == "ffv1 made pictures that were read back"
    assert found["decoders"].told == "h264 are there"
    states = {name: (item.state, item.needed) for name, item in found.items() if item.state != OK}
    assert states == {"encoder libnothing": (FAULT, True), "encoder libx264": (LACKING, False),
                      "decoder nothing": (FAULT, True), "decoder no_other": (LACKING, False)}


def test_what_the_trial_takes_for_wrong() -> None:
    right = np.full((SIZE[1], SIZE[0], 3), GREEN, np.uint8)
    right[100:, 100:200] = 200
    assert wrong([right]) == ""
    assert "there came back: none" in wrong([])
    assert "319 x 240" in wrong([right[:, :-1]])
    room = right.copy()
    room[:, -40:] = (196, 204, 214)
    assert "off the colour" in wrong([room])
