"""What the Ray runner refuses, and what it hands to workers. No cluster here: see tests/cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from streamseg.batch.ledger import Ledger
from streamseg.batch.options import BatchOptions
from streamseg.batch.ray_cluster import STARTS, Crew, connected
from streamseg.batch.ray_runner import run_on_ray
from streamseg.batch.ray_worker import absolute
from streamseg.cli import cli
from streamseg.errors import DeviceError, MissingDependencyError, OptionError


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


@pytest.mark.parametrize("value", [{"workers": 3}, {"cpus_per_worker": 2}, {"gpus_per_worker": 0.5}, {"split": 60.0}])
def test_what_is_of_ray_says_nothing_without_it(value: dict[str, Any]) -> None:
    name = next(iter(value))
    with pytest.raises(OptionError, match=f"{name} is .*, which says something of Ray only: give --on ray"):
        BatchOptions(**value)
    assert getattr(BatchOptions(on="ray", **value), name) == value[name]


def test_without_ray_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it then fails
    remedy = r"pip install 'streamseg\[cluster\]'"
    with Ledger(":memory:") as ledger, pytest.raises(MissingDependencyError, match=remedy):
        run_on_ray(ledger, Crew(None, 1, 1, 0.0, None))


class Fake:
    """Ray, whose ``init`` raises what it was given, one after the other."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.tries, self.ends = list(errors), 0, 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **told: Any) -> None:
        assert told["address"] == "ray://head:10001"
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)

    def shutdown(self) -> None:
        self.ends += 1


AT_HEAD = Crew("ray://head:10001", 1, 1, 0.0, None)
# as Ray's head says it where its process for a client did not come in time
SLOW = ("Initialization failure from server:\nTraceback (most recent call last):\n  File \"proxier.py\", line 780\n"
        "RuntimeError: Proxy failed to Connect to backend!\n")


def test_a_head_that_is_too_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Fake(ConnectionAbortedError(SLOW), ConnectionAbortedError(SLOW))
    monkeypatch.setitem(sys.modules, "ray", ray)
    with connected(AT_HEAD) as found:
        assert found is ray
    assert (ray.tries, ray.ends) == (3, 3)


@pytest.mark.parametrize(("error", "tries", "words"), [
    (ConnectionAbortedError(SLOW), STARTS,
     "Initialization failure from server: RuntimeError: Proxy failed to Connect to backend!"),
    (ConnectionError("ray client connection timeout"), 1, "ray client connection timeout")], ids=["busy", "away"])
def test_a_head_that_does_not_answer_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int,
                                                       words: str) -> None:
    ray = Fake(*STARTS * [error])
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(DeviceError) as raised, connected(AT_HEAD):
        pass
    assert f"({type(error).__name__}: {words}): check the address" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert ray.tries == tries


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
