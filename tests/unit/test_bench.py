"""`streamseg bench` without measuring: what is compared how, what is told, refused and written."""

from __future__ import annotations

import builtins
import json
import os
import stat
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import streamseg.bench
from streamseg.bench import LIMIT, Variant, alone, bench, changes, hardware, hardware_line
from streamseg.bench.alone import Watched
from streamseg.bench.compare import doubts, lost
from streamseg.bench.machine import GpuUse, watch_gpu
from streamseg.bench.measure import NoWork, Run, flags, summarised, summary
from streamseg.bench.plots import draw
from streamseg.cli import cli
from streamseg.cli.bench import Percent
from streamseg.cli.flags import chosen
from streamseg.cli.run import run
from streamseg.composite import Compositor
from streamseg.errors import MissingDependencyError, OptionError, StreamsegError
from streamseg.frames import Frame, Matte, VideoInfo
from streamseg.options import Options
from streamseg.refine import Cover

Result = dict[str, Any]
MACHINE = {"processor": "a", "cores": 2, "gpu": "none", "system": "Linux", "python": "3", "streamseg": "1",
           "av": "1", "opencv": "1"}


def a_row(name: str, fps: tuple[float, ...] = (50.0, 52.0), segment: tuple[float, ...] = (5.0, 5.2),
          **more: Any) -> Result:
    """A result's row, from the values of its repeats."""
    return {"name": name, "method": name, "device": "auto", "batch": 1, "frames": 90, "runs_on": "the CPU",
            "fps": summary(fps), "start_s": summary([0.5]), "cpu_percent": summary([150.0]),
            "peak_rss_mib": summary([120.0]), "gpu_percent": None, "gpu_memory_mib": None,
            "stages": {"segment": {"p50_ms": summary(segment), "p95_ms": summary(segment)}}, **more}


def a_result(*rows: Result, **more: Any) -> Result:
    return {"clip": {"name": "made", "seconds": 5.0, "width": 1920, "height": 1080, "rate": 30.0,
                     "format": "yuv420p"},
            "options": {}, "repeats": 2, "hardware": MACHINE, "warnings": [],
            "rows": [a_row(LIMIT, (80.0, 81.0)), *rows], **more}


def a_frame(index: int = 0, format: str = "yuv420p") -> Frame:
    side = 2 if format == "yuv420p" else 4
    return Frame((np.zeros((4, 4), np.uint8), *(np.full((side, side), 128, np.uint8) for _ in range(2))),
                 format, Fraction(1, 25), index)


# --- then and now -----------------------------------------------------------------------------

@pytest.mark.parametrize(("then", "now", "worse", "failed"), [
    ((50.0, 52.0), (40.0, 42.0), 0.238, True),
    ((50.0, 52.0), (47.0, 49.0), 0.061, False),  # allowed
    ((40.0, 60.0), (41.0, 45.0), 0.333, False),  # as fast as it was at its worst: chance
    ((50.0, 52.0), (70.0, 72.0), -0.385, False),
], ids=["slower", "a little slower", "noisy", "faster"])
def test_a_lower_rate_fails_where_it_is_more_than_allowed_and_no_chance(
        then: tuple[float, ...], now: tuple[float, ...], worse: float, failed: bool) -> None:
    found = changes(a_result(a_row("person", then)), a_result(a_row("person", now)), 0.1)
    change, = (item for item in found if (item.variant, item.figure) == ("person", "fps"))
    assert change.failed is failed
    assert (change.old, change.new) == (max(then), max(now))
    assert change.worse == pytest.approx(worse, abs=1e-3)


def test_a_slower_stage_fails_alone() -> None:
    old, new = (a_result(a_row("person", segment=times)) for times in ((5.0, 5.2), (6.5, 6.9)))
    assert [(item.variant, item.figure, item.worse) for item in changes(old, new, 0.1) if item.failed] \
        == [("person", "segment ms", 0.3)]
    assert not [item for item in changes(old, new, 0.35) if item.failed]
    assert not [item for item in changes(new, old, 0.1) if item.failed]


def test_a_stages_change_below_the_clocks_worth_is_nothing() -> None:
    old, new = (a_result(a_row("person", segment=times)) for times in ((0.05, 0.05), (0.15, 0.15)))
    assert not [item for item in changes(old, new, 0.1) if item.failed]


@pytest.mark.parametrize("figure", ["start_s", "peak_rss_mib"])
def test_start_and_memory_are_compared_too(figure: str) -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person", **{figure: summary([900.0])}))
    assert [item.figure for item in changes(old, new, 0.1) if item.failed] == [figure]


def test_a_machine_that_is_slower_itself_is_a_doubt_and_no_failure() -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person"))
    new["rows"][0] = a_row(LIMIT, (30.0, 31.0))
    found = changes(old, new, 0.1)
    assert not [item for item in found if item.failed]
    said, = doubts(old, new, found, 0.1)
    assert said.startswith("the machine itself is slower now than then: fps of 'no work' went from 81 to 31")
    assert doubts(old, old, changes(old, old, 0.1), 0.1) == []


def test_another_machine_is_a_doubt() -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person"), hardware={**MACHINE, "cores": 16})
    assert doubts(old, new, [], 0.1) == ["another machine then: cores 2, now 16"]


@pytest.mark.parametrize(("change", "said"), [
    ({"options": {"background": "blur"}}, "had options"), ({"clip": {"name": "other.mp4"}}, "had clip"),
    ({"rows": []}, "no method, device and batch in common"),
], ids=["options", "clip", "rows"])
def test_what_was_not_measured_alike_is_refused(change: Result, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        changes({**a_result(a_row("person")), **change}, a_result(a_row("person")), 0.1)


@pytest.mark.parametrize(("change", "said"), [
    ({"clip": a_result()["clip"], "options": {"background": "blur"}}, "had options"), ({}, "had clip"),
    ({"clip": a_result()["clip"], "rows": [a_row(LIMIT), a_row("region")]}, "no method, device and batch in"),
], ids=["options", "clip", "rows"])
def test_what_could_not_be_compared_is_refused_before_anything_is_measured(
        change: Result, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamseg.bench, "make_clip", lambda *_, **__: pytest.fail("it began"))
    before = {**a_result(a_row("threshold"), clip={"name": "other.mp4"}), **change}
    with pytest.raises(OptionError, match=said):
        streamseg.bench.bench(methods=["threshold"], before=before)


def test_a_row_that_failed_is_not_compared() -> None:
    new = a_result({"name": "person", "error": "no GPU"}, a_row("threshold"))
    found = changes(a_result(a_row("person"), a_row("threshold")), new, 0.1)
    assert {item.variant for item in found} == {LIMIT, "threshold"}
    assert {item.variant for item in changes(a_result(a_row("person")), new, 0.1)} == {LIMIT}


def test_what_worked_then_and_fails_now_is_lost() -> None:
    failed = [{"name": name, "error": "it broke"} for name in ("person", "region", "new")]
    old = a_result(a_row("person"), a_row("threshold"), {"name": "region", "error": "it never worked"})
    assert lost(old, a_result(*failed, a_row("threshold"))) == {"person": "it broke"}


# --- figures ----------------------------------------------------------------------------------

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
    assert chosen({name: context.params[name] for name in options}) == options


def test_no_work_is_no_work_whatever_the_methods_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"erode": 3.0, "feather": 20.0, "threshold": 0.4, "light_wrap": 0.5, "show_matte": True,
             "subject": "largest", "edges": "bilinear", "skip_still": 40.0, "smooth": "flow", "blur": 0.9,
             "set": {"value": "9"}, "model": "a.tflite", "codec": "libx264", "threads": 2}
    words = flags({**given, **Variant(LIMIT).options})
    params = run.make_context("run", ["in.mp4", "-o", "out.mp4", *words]).params
    options = Options.of(chosen({item.name: params[item.name] for item in fields(Options)}))
    assert options == Options(method=f"{NoWork.__module__}:NoWork", background="original", smooth="none",
                              every="1", codec="libx264", threads=2)
    frame = a_frame()
    monkeypatch.setattr(Cover, "reshaped", lambda *_: pytest.fail("the edge was reshaped"))
    compositor = Compositor(VideoInfo(4, 4, "yuv420p", Fraction(1, 25)), ["composite"], options)
    made = compositor.finish(frame, NoWork().segment([frame])[0])["composite"]
    assert all(plane is own for plane, own in zip(made.planes, frame.planes, strict=True))


class Batches:
    """A method whose first call takes 10 seconds of its own clock and every other 1, of which the small
    pictures take 0.1 a frame."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sizes: list[int] = []

    def segment(self, frames: list[Watched]) -> list[Matte]:
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


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
def test_a_watched_frame_notes_its_small_pictures_once_each(format: str) -> None:
    frame = a_frame(3, format)
    watched = Watched.of(frame)
    np.testing.assert_array_equal(watched.rgb((2, 2)), frame.rgb((2, 2)))
    assert len(watched.spent) == 1
    np.testing.assert_array_equal(watched.luma(), frame.luma())
    assert len(watched.spent) == 2
    assert watched.index == 3
    assert watched.planes is frame.planes


# --- the command ------------------------------------------------------------------------------

@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the measurement gives: no run is made. ``calls`` gets the arguments."""
    result = a_result(a_row("person", alone_ms={"decode": 1.5, "infer": 12.0}))
    result["calls"] = []

    def fake(clip: str | None, **arguments: Any) -> Result:
        arguments.pop("progress")
        result["calls"].append({"clip": clip, **arguments})
        return {key: value for key, value in result.items() if key != "calls"}

    monkeypatch.setattr(streamseg.bench, "bench", fake)
    return result


def test_the_table_names_methods_stages_and_the_machine(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    measured["rows"].append({"name": "other", "method": "other", "error": "it has no weights"})
    assert cli(["bench", "in.mp4"]) == 0  # of all methods one may be missing
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("51.0", "0.63", "50.0 to 52.0", "none", "12.00", "failed: it has no weights",
                 "a, 2 cores, GPU none"):
        assert part in err


@pytest.mark.filterwarnings("error")
def test_stages_that_could_not_be_measured_alone_leave_the_other_figures(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    measured["rows"][1] = a_row("person", alone_error="the stages could not be measured: it broke")
    assert cli(["bench", "in.mp4"]) == 0
    err = capsys.readouterr().err
    for part in ("50.0 to 52.0", "5.10", "alone: failed: the stages could not be measured: it broke"):
        assert part in err
    assert set(draw(measured)) == {"bench-fps.png", "bench-stages.png"}


def test_a_method_that_fails_alone_keeps_its_row_and_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def stages(clip: str, options: Result) -> dict[str, float]:
        if options["method"] == "threshold":
            raise StreamsegError("it broke")
        return {"decode": 1.5}

    ran = Run("the CPU", 50.0, 9, 0.5, None, 100.0, None, None, {"decode": {"p50_ms": 1.0, "p95_ms": 2.0}})
    monkeypatch.setattr(streamseg.bench, "run_once", lambda *_: ran)
    monkeypatch.setattr(streamseg.bench, "make_clip", lambda path, **_: path)
    monkeypatch.setattr(streamseg.bench, "_alone", stages)
    limit, threshold, region = bench(methods=["threshold", "region"], repeats=1)["rows"]
    assert (threshold["fps"]["median"], threshold["alone_error"]) == (50.0, "it broke")
    assert "alone_ms" not in threshold
    assert region["alone_ms"] == {"decode": 1.5}
    assert not {"alone_ms", "alone_error"} & {*limit}


def test_what_is_no_network_is_measured_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Run("the CPU", 50.0, 9, 0.5, None, 100.0, None, None, {"decode": {"p50_ms": 1.0, "p95_ms": 2.0}})
    monkeypatch.setattr(streamseg.bench, "run_once", lambda *_: ran)
    monkeypatch.setattr(streamseg.bench, "make_clip", lambda path, **_: path)
    monkeypatch.setattr(streamseg.bench, "_alone", lambda *_: {})
    for devices, wanted in ((("gpu",), ["person on gpu", "threshold"]),
                            (("cpu", "gpu"), ["person on cpu", "person on gpu", "threshold on cpu"])):
        rows = bench(methods=["person", "threshold"], devices=devices, repeats=1)["rows"]
        assert [row["name"] for row in rows[1:]] == wanted
    assert Variant("threshold").options["runtime"] == "auto"  # whatever the others run in


@pytest.mark.parametrize("asked", [["--methods", "person,other"], ["--device", "gpu"]])
def test_what_was_asked_for_by_name_and_failed_is_an_error(measured: Result, asked: list[str]) -> None:
    assert cli(["bench", "in.mp4", *asked, "-q"]) == 0
    measured["rows"].append({"name": "other", "method": "other", "error": "it has no weights"})
    assert cli(["bench", "in.mp4", *asked, "-q"]) == 1


def test_flags_reach_the_measurement(measured: Result) -> None:
    assert cli(["bench", "in.mp4", "--methods", "person", "--device", "cpu,gpu", "--batch", "1,8",
                "--background", "blur", "--repeats", "7", "-q"]) == 0
    assert cli(["bench", "--quick", "-q"]) == 0
    assert measured["calls"] == [
        {"clip": "in.mp4", "methods": ["person"], "devices": ["cpu", "gpu"], "batches": [1, 8], "repeats": 7,
         "seconds": 5.0, "before": None, "background": "blur"},
        {"clip": None, "methods": ["default"], "devices": ["auto"], "batches": [1], "repeats": 2,
         "seconds": 1.5, "before": None}]


def test_json_is_the_only_thing_on_standard_output(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["bench", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][1]["name"] == "person"
    assert err == ""


def test_a_folder_gets_the_json_and_the_plots_once(measured: Result, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert cli(["bench", "-q", "-o", str(folder)]) == 0
    assert {item.name for item in folder.iterdir()} == {"bench-fps.png", "bench-stages.png", "bench.json"}
    assert json.loads((folder / "bench.json").read_text())["rows"][1]["fps"]["median"] == 51.0
    assert (folder / "bench-fps.png").read_bytes().startswith(b"\x89PNG")
    assert cli(["bench", "-q", "-o", str(folder)]) == 1
    assert cli(["bench", "-q", "-o", str(folder), "--overwrite"]) == 0
    assert len(measured["calls"]) == 2  # what cannot be written is refused before anything is measured


@pytest.mark.parametrize(("segment", "allowed", "code"), [(5.0, "10%", 0), (9.0, "10%", 1), (9.0, "90", 0)])
def test_a_slower_stage_is_named_and_ends_with_code_1(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], segment: float, allowed: str,
        code: int) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(a_result(a_row("person"))))
    measured["rows"][1] = a_row("person", segment=(segment, segment + 0.1))
    assert cli(["bench", "--compare", str(old), "--fail-over", allowed]) == code
    said = "streamseg: person: segment ms 5 -> 9, 80% worse, more than 10%"
    assert (said in capsys.readouterr().err) is bool(code)


@pytest.mark.parametrize(("then", "code"), [(a_row("other"), 1), ({"name": "other", "error": "the same"}, 0)],
                         ids=["it worked", "it did not"])
def test_a_method_that_worked_then_and_fails_now_is_named_and_ends_with_code_1(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], then: Result,
        code: int) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(a_result(a_row("person"), then)))
    measured["rows"].append({"name": "other", "method": "other", "error": "it broke"})
    assert cli(["bench", "--compare", str(old), "-q"]) == code
    said = "streamseg: other: it worked then and fails now: it broke\n"
    assert capsys.readouterr().err == (said if code else "")


@pytest.mark.parametrize("words", [
    ["--compare", "nothing.json"], ["--methods", "person,person"], ["--batch", "0"], ["--batch", "x"],
    ["--device", "tpu"], ["--blur", "7"], ["--fail-over", "much"], ["--repeats", "0"], ["--seconds", "0"]],
    ids=" ".join)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
        measured: Result, words: list[str]) -> None:
    assert cli(["bench", *words]) == 2
    assert measured["calls"] == []


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any run, and the making of a clip, is a failure of the test."""
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("something was run")

    for name in ("run_once", "make_clip", "_alone"):
        monkeypatch.setattr(streamseg.bench, name, never)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("words", "said"), [
    (["--methods", "threshold,nope"], "method is 'nope'"), (["--background", "gren"], "did you mean green"),
    (["--background", "none"], "transparency"), (["--codec", "h265"], "h265"),
    (["--codec-set", "presett=fast"], "presett"), (["--every", "never"], "never")], ids=str)
def test_values_that_no_run_takes_are_refused_before_anything_is_measured(
        words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["bench", "--methods", "threshold", *words, "-o", str(tmp_path / "new")]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "afile").write_bytes(b"mine")
    (tmp_path / "taken" / "bench.json").mkdir(parents=True)
    for folder in (tmp_path / "afile", tmp_path / "afile" / "deep", Path("/proc/new"), tmp_path / "taken"):
        assert cli(["bench", "-q", "-o", str(folder), "--overwrite"]) == 1
        line, = capsys.readouterr().err.splitlines()
        assert line.startswith(f"streamseg: error: {folder}")
    assert measured["calls"] == []


def test_a_measurement_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise StreamsegError("nothing could be measured")

    monkeypatch.setattr(streamseg.bench, "bench", failing)
    assert cli(["bench", "-q", "-o", str(tmp_path / "new" / "deep")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_result_is_refused(measured: Result, tmp_path: Path) -> None:
    for text in ("{", "[]", "{}"):
        (tmp_path / "old.json").write_text(text)
        assert cli(["bench", "--compare", str(tmp_path / "old.json")]) == 2
    assert measured["calls"] == []


def test_plots_without_matplotlib_name_the_extra(measured: Result, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError("no matplotlib")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[bench\]'"):
        draw(a_result(a_row("person")))
    assert cli(["bench", "-o", str(tmp_path / "x")]) == 1
    assert measured["calls"] == []


def test_a_percentage_is_read_with_and_without_its_sign() -> None:
    texts = ("10%", "10", "2.5%", "0")
    assert [Percent().convert(text, None, None) for text in texts] == [0.1, 0.1, 0.025, 0]


def test_help_ends_with_examples() -> None:
    from streamseg.cli import group
    text = CliRunner().invoke(group, ["bench", "--help"]).output
    assert "--compare before/bench.json --fail-over 10%" in text
