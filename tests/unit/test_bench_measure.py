"""How `streamseg bench` measures: runs and their flags, each stage alone, the machine. No run is made."""

from __future__ import annotations

import os
import stat
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest

import streamseg.tools.bench
from streamseg.cli.flags import given_options
from streamseg.cli.run import run
from streamseg.composite import Compositor
from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.errors import StreamsegError
from streamseg.options import Options
from streamseg.refine import AlphaTiles
from streamseg.tools.bench import LIMIT, Variant, alone, bench, hardware, hardware_line
from streamseg.tools.bench.alone import ObservedFrame
from streamseg.tools.bench.machine import GpuUse, watch_gpu
from streamseg.tools.bench.measure import NoWork, Run, flags, python, summarised, summary
from tests.unit.bench_tools import Result


def a_frame(index: int = 0, format: str = "yuv420p") -> Frame:
    side = 2 if format == "yuv420p" else 4
    return Frame((np.zeros((4, 4), np.uint8), *(np.full((side, side), 128, np.uint8) for _ in range(2))),
                 format, Fraction(1, 25), index)


def test_a_summary_is_of_all_repeats() -> None:
    assert summary([3.0, 1.0, 2.0]) == {"min": 1.0, "median": 2.0, "max": 3.0, "spread": 1.0}
    runs = [Run("the CPU", fps, 90, 0.5, None, 100.0, None, None,
                {"decode": {"p50_ms": fps, "p95_ms": 2 * fps}}) for fps in (10.0, 20.0)]
    found = summarised(runs)
    assert (found["fps"]["median"], found["frames"], found["runs_on"]) == (15.0, 90, "the CPU")
    assert found["cpu_percent"] is None
    assert found["stages"]["decode"]["p95_ms"]["max"] == 40.0


@pytest.mark.parametrize(("variant", "name"), [
    (Variant("person"), "person"), (Variant("person", "gpu"), "person on gpu"),
    (Variant("person", "cpu", 8), "person on cpu, batch 8")])
def test_a_variants_name_says_what_is_not_usual(variant: Variant, name: str) -> None:
    assert variant.name == name
    assert variant.options == {"method": variant.method, "device": variant.device, "batch": variant.batch}


def test_options_become_the_flags_that_mean_them() -> None:
    options = {"method": "threshold", "set": {"value": "90"}, "audio": False, "overwrite": True, "blur": 0.3,
               "batch": 4, "codec_set": {"preset": "fast", "tune": "film"}}
    context = run.make_context("run", ["in.mp4", "-o", "out.mp4", *flags(options)])
    assert given_options({name: context.params[name] for name in options}) == options


def test_no_work_is_no_work_whatever_the_methods_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"erode": 3.0, "feather": 20.0, "threshold": 0.4, "light_wrap": 0.5, "show_matte": True,
             "subject": "largest", "edges": "bilinear", "skip_still": 40.0, "smooth": "flow", "blur": 0.9,
             "set": {"value": "9"}, "model": "a.tflite", "codec": "libx264", "threads": 2}
    words = flags({**given, **Variant(LIMIT).options})
    params = run.make_context("run", ["in.mp4", "-o", "out.mp4", *words]).params
    options = Options.of(given_options({item.name: params[item.name] for item in fields(Options)}))
    assert options == Options(method=f"{NoWork.__module__}:NoWork", background="original", smooth="none",
                              every="1", codec="libx264", threads=2)
    frame = a_frame()
    monkeypatch.setattr(AlphaTiles, "reshaped", lambda *_: pytest.fail("the edge was reshaped"))
    compositor = Compositor(VideoInfo(4, 4, "yuv420p", Fraction(1, 25)), ["composite"], options)
    made = compositor.finish(frame, NoWork().segment([frame])[0])["composite"]
    assert all(plane is own for plane, own in zip(made.planes, frame.planes, strict=True))


def test_a_method_that_fails_alone_keeps_its_row_and_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def stages(clip: str, options: Result) -> dict[str, float]:
        if options["method"] == "threshold":
            raise StreamsegError("it broke")
        return {"decode": 1.5}

    ran = Run("the CPU", 50.0, 9, 0.5, None, 100.0, None, None, {"decode": {"p50_ms": 1.0, "p95_ms": 2.0}})
    monkeypatch.setattr(streamseg.tools.bench, "run_once", lambda *_: ran)
    monkeypatch.setattr(streamseg.tools.bench, "make_clip", lambda path, **_: path)
    monkeypatch.setattr(streamseg.tools.bench, "_alone", stages)
    limit, threshold, region = bench(methods=["threshold", "region"], repeats=1)["rows"]
    assert (threshold["fps"]["median"], threshold["alone_error"]) == (50.0, "it broke")
    assert "alone_ms" not in threshold
    assert region["alone_ms"] == {"decode": 1.5}
    assert not {"alone_ms", "alone_error"} & {*limit}


def test_what_is_no_network_is_measured_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Run("the CPU", 50.0, 9, 0.5, None, 100.0, None, None, {"decode": {"p50_ms": 1.0, "p95_ms": 2.0}})
    monkeypatch.setattr(streamseg.tools.bench, "run_once", lambda *_: ran)
    monkeypatch.setattr(streamseg.tools.bench, "make_clip", lambda path, **_: path)
    monkeypatch.setattr(streamseg.tools.bench, "_alone", lambda *_: {})
    for devices, wanted in ((("gpu",), ["person on gpu", "threshold"]),
                            (("cpu", "gpu"), ["person on cpu", "person on gpu", "threshold on cpu"])):
        rows = bench(methods=["person", "threshold"], devices=devices, repeats=1)["rows"]
        assert [row["name"] for row in rows[1:]] == wanted
    assert Variant("threshold").options["runtime"] == "auto"  # whatever the others run in


# --- each stage alone ---------------------------------------------------------------------------

class Batches:
    """A method whose first call takes 10 seconds of its own clock and every other 1, of which the small
    pictures take 0.1 a frame."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sizes: list[int] = []

    def segment(self, frames: list[ObservedFrame]) -> list[Matte]:
        for frame in frames:
            frame.spent.append(0.1)
        self.now += 1 if self.sizes else 10
        self.sizes.append(len(frames))
        return [Matte(np.full((1, 1), 0.5, np.float32)) for _ in frames]


@pytest.mark.parametrize(("batch", "sizes", "whole"), [
    (1, [1, 1, 1, 1, 1, 1], 5 / 5), (2, [2, 2, 2], 2 / 4), (4, [4, 2], 1 / 2), (8, [6], 10 / 6)])
def test_a_method_alone_is_given_its_batches_and_the_first_is_left_out(
        monkeypatch: pytest.MonkeyPatch, batch: int, sizes: list[int], whole: float) -> None:
    method: Any = Batches()
    monkeypatch.setattr(alone, "time", SimpleNamespace(perf_counter=lambda: method.now))
    pairs, small, rest = alone._segmented(method, [a_frame(index) for index in range(6)], batch)
    assert method.sizes == sizes
    assert [frame.index for frame, _ in pairs] == list(range(6))
    assert (small, small + rest) == pytest.approx((100, 1e3 * whole))


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
def test_a_watched_frame_notes_its_small_pictures_once_each(format: str) -> None:
    frame = a_frame(3, format)
    watched = ObservedFrame.of(frame)
    np.testing.assert_array_equal(watched.rgb((2, 2)), frame.rgb((2, 2)))
    assert len(watched.spent) == 1
    np.testing.assert_array_equal(watched.luma(), frame.luma())
    assert len(watched.spent) == 2
    assert watched.index == 3
    assert watched.planes is frame.planes


def test_a_child_imports_nothing_of_the_current_folder_and_all_that_its_parent_does(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, own = tmp_path / "here", tmp_path / "own"
    for folder in (here, own):
        folder.mkdir()
    (here / "click.py").write_text("raise SystemExit('the wrong click')")
    (own / "mine.py").write_text("import click, streamseg\nprint(click.__file__, streamseg.__file__)\n")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(own)
    done = python("mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [click.__file__, streamseg.__file__]


# --- the machine --------------------------------------------------------------------------------

def test_hardware_names_the_machine_and_the_versions() -> None:
    found = hardware()
    assert found["cores"] == os.cpu_count()
    assert found["numpy"] == np.__version__
    for part in (found["processor"], "cores, GPU", f"OpenCV {found['opencv']}"):
        assert part in hardware_line(found)


def test_nvidia_smis_lines_become_mean_use_and_peak_memory() -> None:
    use = GpuUse()
    use.read("30, 1000\n50, 3000\n[N/A], [N/A]\n\nan error, said in words\n")
    assert (use.percent, use.memory_mib) == (40.0, 3000.0)


def test_a_gpu_is_watched_while_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called nvidia-smi tells through a pipe when it has written its line, and then hangs."""
    said = tmp_path / "said"
    os.mkfifo(said)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '37, 1024'\necho > {said}\nexec sleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with watch_gpu() as use:
        said.read_text()
        assert use.percent is None
    assert (use.percent, use.memory_mib) == (37.0, 1024.0)


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with watch_gpu() as use:
        pass
    assert (use.percent, use.memory_mib, hardware()["gpu"]) == (None, None, "none")
