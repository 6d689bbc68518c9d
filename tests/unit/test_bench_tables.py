"""The project's benchmarks without measuring: where results go, and how README's tables are made of them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from benchmarks import common, live, scaling, table
from streamseg.errors import DeviceError
from streamseg.tools.bench.measure import summary


def test_a_table_is_markdown_and_bars_in_cells_are_kept() -> None:
    made = common.Table(("a", "b"), [("1|2", "3")]).markdown()
    assert made.splitlines() == ["| a | b |", "| --- | --- |", "| 1\\|2 | 3 |"]


def test_ratios_are_taken_within_a_turn() -> None:
    assert common.ratios([50.0, 100.0], [100.0, 200.0]) == summary([0.5, 0.5])


def test_results_name_the_command_without_anybodys_folders(tmp_path: Path) -> None:
    bench = common.Bench("offline", "")
    bench.parser.add_argument("--data")
    bench.parse(["--quick", "--data", str(tmp_path / "corpus"), "--out", str(tmp_path)])
    path = bench.save({"rows": {}}, tmp_path)
    found = json.loads(path.read_text())
    assert path.name == "offline.json"
    assert found["command"] == "python -m benchmarks.offline --quick --data corpus"
    assert found["hardware"]["cores"] == os.cpu_count()
    assert "commit" in found


@pytest.mark.parametrize(("words", "told"), [
    (["--data", "/home/me/corpus"], "--data corpus"), (["--data=/home/me/corpus"], "--data=corpus"),
    (["--data=/home/me/a=b/corpus"], "--data=corpus"), (["--data=here"], "--data=here"),
    (["--out", "/home/me", "--quick"], "--quick"), (["--out=/home/me", "--quick"], "--quick"),
    (["--quick", "--out=results"], "--quick")])
def test_either_form_of_a_flag_tells_of_a_path_its_last_part(
        words: list[str], told: str, tmp_path: Path) -> None:
    bench = common.Bench("offline", "")
    bench.parser.add_argument("--data")
    bench.parse(words)
    found = json.loads(bench.save({}, tmp_path).read_text())
    assert found["command"] == f"python -m benchmarks.offline {told}"


@pytest.mark.parametrize("seconds", ["0.5", "1.9", "0", "nan"])
def test_a_live_run_too_short_for_its_figures_is_refused_before_it(
        seconds: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(live, "fake_pyvirtualcam", lambda: pytest.fail("it began"))
    with pytest.raises(SystemExit, match="2"):
        live.main(["--seconds", seconds])
    assert f"--seconds is {seconds}; it must be at least 2" in capsys.readouterr().err


def test_another_form_of_a_benchmark_has_a_result_of_its_own(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.segment, "create_segmenter", lambda method, *, device: io.BytesIO())  # it can be closed
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")  # so that it is put back
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    bench = common.Bench("live", "", device=True)
    bench.parse(["--device", "gpu"])
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    bench.forms.append("load")
    path = bench.save({}, tmp_path)
    assert path.name == "live_gpu_load.json"
    assert json.loads(path.read_text())["command"] == "python -m benchmarks.live --device gpu"


def test_what_streamseg_refuses_is_a_line_and_what_is_a_defect_is_not(
        capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise DeviceError("no GPU")

    with pytest.raises(SystemExit, match="1"):
        common.start(refuse)
    assert capsys.readouterr().err == "error: no GPU\n"
    with pytest.raises(ZeroDivisionError):
        common.start(lambda: 1 // 0)


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    points = [1.0, 2.0, 5.0, 10.0]
    assert scaling.exponent(points, [3 * x ** power for x in points]) == pytest.approx(power, abs=1e-4)


MEMORY = {"command": "python -m benchmarks.memory", "commit": "abc",
          "hardware": {"processor": "a", "cores": 2, "gpu": "none"},
          "peak_rss_mib": {"short": 100.0, "long": 103.0}, "ratio": 1.03, "method": "threshold"}


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, Path]:
    """A README with a place for a table, and a folder of results."""
    readme, results = tmp_path / "README.md", tmp_path / "results"
    readme.write_text("before\n<!-- bench:memory -->\nold\n<!-- /bench -->\nafter\n")
    results.mkdir()
    (results / "memory.json").write_text(json.dumps(MEMORY))
    return readme, results


def words(project: tuple[Path, Path], *more: str) -> list[str]:
    return ["--page", str(project[0]), "--results", str(project[1]), *more]


def test_the_page_gets_the_table_with_its_command_and_the_check_knows(project: tuple[Path, Path]) -> None:
    assert table.main(words(project, "--check")) == 1
    assert project[0].read_text().splitlines()[2] == "old"
    assert table.main(words(project)) == 0
    text = project[0].read_text()
    assert text.startswith("before\n<!-- bench:memory -->\n| 1 minute |")
    assert text.endswith("<!-- /bench -->\nafter\n")
    for part in ("| 100.0 MiB | 103.0 MiB | 1.030 |", "`python -m benchmarks.memory`, commit abc, a, 2 cores",
                 "(results/memory.json)"):
        assert part in text
    assert table.main(words(project, "--check")) == 0
    (project[1] / "memory.json").write_text(json.dumps({**MEMORY, "ratio": 1.04}))
    assert table.main(words(project, "--check")) == 1


def test_what_was_not_measured_is_said(project: tuple[Path, Path]) -> None:
    (project[1] / "memory.json").unlink()
    assert table.main(words(project)) == 0
    assert "Not measured: `python -m benchmarks.memory`" in project[0].read_text()


def test_another_form_has_a_table_of_its_own(project: tuple[Path, Path]) -> None:
    names = ("memory_gpu", "limits_gpu.batches")
    places = "".join(f"<!-- bench:{name} -->\n<!-- /bench -->\n" for name in names)
    (project[1] / "memory_gpu.json").write_text(json.dumps({**MEMORY, "ratio": 2.0}))
    text = table.filled(places, project[1])
    assert "| 100.0 MiB | 103.0 MiB | 2.000 |" in text
    assert "(results/memory_gpu.json)" in text
    assert "Not measured: `python -m benchmarks.limits --device gpu`\n" in text


def test_a_result_without_a_layout_of_its_own_becomes_a_table_a_part(project: tuple[Path, Path]) -> None:
    result = {**MEMORY, "methods": {"flow": {"iou": 0.91234, "ms": {"median": 0.5}}, "none": {"iou": 0.9}}}
    found = table.plain("smoothing", result)["smoothing.methods"].markdown().splitlines()
    assert found == ["|  | iou | ms |", "| --- | --- | --- |", "| flow | 0.9123 | 0.5 |", "| none | 0.9 |  |"]


@pytest.mark.parametrize(("place", "said"), [
    ("<!-- bench:nothing -->\n<!-- /bench -->", "benchmarks/nothing.py is not there"),
    ("<!-- bench:memory_abacus -->\n<!-- /bench -->", "forms are gpu, load, soak"),
    ("<!-- bench:memory.rest -->\n<!-- /bench -->", "of memory.json there are the tables memory"),
    ("<!-- bench:memory -->\n", "not closed")], ids=["unknown", "form", "part", "open"])
def test_a_place_that_cannot_be_filled_is_an_error(project: tuple[Path, Path], place: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table.filled(place, project[1])


def test_the_page_says_what_the_results_say() -> None:
    assert table.main(["--check"]) == 0, "python -m benchmarks.table writes the tables anew"


def test_no_table_was_measured_on_a_changed_work_tree() -> None:
    assert "-dirty" not in table.PAGE.read_text(encoding="utf-8")
