"""The jobs' database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")

from streamseg.errors import OptionError, SinkError
from streamseg.serve.jobs.store import JobStore
from streamseg.serve.jobs.tasks import FilmLimits, FilmTask, Target
from streamseg.serve.jobs.webhook import TRIES, signature, wait
from streamseg.serve.v1_jobs import targets_of


def test_a_job_goes_its_way_and_outlives_the_process(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job = store.add("a1", "streamseg", "uploading", {"x": [1]}, size=10)
    assert (job.state, job.wanted, job.size, job.crashes) == ("uploading", {"x": [1]}, 10, 0)
    assert store.move("a1", "queued", from_="uploading")
    assert not store.move("a1", "queued", from_="uploading")
    assert store.move("a1", "running", from_="queued")
    store.close()
    store = JobStore(tmp_path)
    assert [found.id for found in store.recover()] == ["a1"]
    assert [found.id for found in store.of_states(("queued",))] == ["a1"]
    store.finish("a1", report={"frames": 3})
    found = store.get("a1")
    assert found is not None
    assert (found.state, found.report, found.error) == ("done", {"frames": 3}, None)
    assert found.finished is not None
    store.finish("a1", error={"code": "x", "message": "y"})  # it has ended: it stays
    assert store.counts()["done"] == 1
    store.forget("a1")
    assert store.get("a1") is None
    store.close()


def test_jobs_are_done_in_the_order_in_which_they_were_accepted(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    for id in ("c", "a", "b"):
        store.add(id, "streamseg", "queued", {})
    assert [job.id for job in store.of_states(("queued",))] == ["c", "a", "b"]
    assert [job.id for job in store.newest(2)] == ["b", "a"]
    last = store.get("b")
    assert last is not None
    assert store.before(last.number) == 2
    store.move("c", "running", from_="queued")
    store.recover()
    assert [job.id for job in store.of_states(("queued",))] == ["c", "a", "b"]
    store.close()


def test_one_server_a_folder(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    with pytest.raises(SinkError, match="another server has the jobs"):
        JobStore(tmp_path)
    store.close()
    JobStore(tmp_path).close()


def test_a_database_that_is_none_or_of_later_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(SinkError, match="cannot be used"):
        JobStore(tmp_path)
    (tmp_path / "jobs.sqlite").unlink()
    JobStore(tmp_path).close()
    base = sqlite3.connect(tmp_path / "jobs.sqlite")
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(SinkError, match="later streamseg"):
        JobStore(tmp_path)


def test_a_webhook_is_told_once_it_is_sent_or_given_up(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    for id in ("a", "b"):
        store.add(id, "streamseg", "queued", {}, webhook="https://a.example/")
        store.finish(id, report={})
    assert [job.id for job in store.to_tell()] == ["a", "b"]
    store.told("a")
    assert [job.webhook_tries for job in store.to_tell()] == [1, 0]
    store.told("a", sent=True)
    store.told("b", give_up=True)
    assert store.to_tell() == []
    store.close()


def test_signatures_are_hmac_sha256() -> None:
    # from: printf '%s' '1700000000.{"a": 1}' | openssl dgst -sha256 -hmac key
    digest = "17e36a190ee125a4782d21867ffdf5712238dc71b452ba98254537bfdb4f3a77"
    assert signature("key", b'{"a": 1}', 1_700_000_000) == f"t=1700000000,v1={digest}"
    assert [wait(tries) for tries in (1, 2, 3)] == [2, 6, 18]
    assert TRIES > 3


def test_a_task_travels_as_json() -> None:
    task = FilmTask("id", "/a/source", "/a", (Target("a.mp4"), Target("b.mkv", "matte")), {"blur": 0.5},
                    FilmLimits(1.0, 2.0, 3), bundle="x.zip", background="/a/b", names={"/a/source": "film"})
    assert FilmTask.of(task.to_dict()) == task


def test_outputs_are_names_and_no_paths() -> None:
    assert targets_of(["out.mp4", "matte:m.mkv", "x-1.gif"]) == (Target("out.mp4"), Target("m.mkv", "matte"),
                                                                  Target("x-1.gif"))
    for text in ("../out.mp4", "/etc/out.mp4", "a/b.mp4", "out", "out.exe", "OUT.mp4", ".mp4", "", "x:out.mp4", "-.mp4",
                 "a\0.mp4", "matte:../a.mkv", "a" * 80 + ".mp4", "null:", "-", "out.png", "%05d.mp4", "..mp4"):
        with pytest.raises(OptionError, match="output has"):
            targets_of([text])
    for texts in (["a.mp4", "a.mp4"], ["matte:a.mkv", "a.mkv"], []):
        with pytest.raises(OptionError, match="output"):
            targets_of(texts)
