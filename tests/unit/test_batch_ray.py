"""What the Ray runner refuses, and what it hands to workers. No cluster here: see tests/cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from streamseg.batch.ledger import Ledger
from streamseg.batch.options import BatchOptions
from streamseg.batch.ray_cluster import Crew
from streamseg.batch.ray_runner import run_on_ray
from streamseg.batch.ray_worker import absolute
from streamseg.cli import cli
from streamseg.errors import MissingDependencyError, OptionError


@pytest.mark.parametrize(("told", "wanted"), [
    ({"on": "ray"}, Crew(None, None, 1, 0.0, 300.0)),
    ({"on": "ray://head:10001", "workers": 4, "cpus_per_worker": 2, "gpus_per_worker": 0.5, "split": 0},
     Crew("ray://head:10001", 4, 2, 0.5, None))])
def test_what_a_crew_is_told(told: dict[str, Any], wanted: Crew) -> None:
    assert Crew.of(BatchOptions(**told)) == wanted


@pytest.mark.parametrize("on", ["dask", "rays", "head:10001"])
def test_another_engine_is_refused_before_anything_is_done(tmp_path: Path, on: str,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    assert cli(["batch", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "out"), "--on", on]) == 2
    assert f"on is '{on}'; it must be ray, or ray://HEAD:10001" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [{"workers": 0}, {"cpus_per_worker": 0}, {"gpus_per_worker": -1.0}, {"split": -1.0}])
def test_numbers_that_are_not_allowed_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(value))):
        BatchOptions(**value)


def test_without_ray_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it then fails
    remedy = r"pip install 'streamseg\[cluster\]'"
    with Ledger(":memory:") as ledger, pytest.raises(MissingDependencyError, match=remedy):
        run_on_ray(ledger, Crew(None, 1, 1, 0.0, None))


def test_workers_get_paths_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beach.jpg").write_bytes(b"")
    job = {"source": "in/a.mp4", "sinks": ["out/a.mp4", "null:", "s3://b/a.mp4", "frames/"],
           "options": {"matte": "m/a.mkv", "background": "beach.jpg", "model": "large", "blur": 0.5}}
    assert absolute(job) == {
        "source": f"{tmp_path}/in/a.mp4",
        "sinks": [f"{tmp_path}/out/a.mp4", "null:", "s3://b/a.mp4", f"{tmp_path}/frames/"],
        "options": {"matte": f"{tmp_path}/m/a.mkv", "background": f"{tmp_path}/beach.jpg", "model": "large",
                    "blur": 0.5}}
    assert absolute({**job, "options": {"background": "blue"}})["options"] == {"background": "blue"}
