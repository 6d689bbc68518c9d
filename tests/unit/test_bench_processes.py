"""What the benchmarks that measure processes tell: memory, processor time, cores, failures; and ratios between two
builds."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import against, processes
from benchmarks.against import NEW, OLD, Row
from benchmarks.common import Must
from benchmarks.processes import ProcessFailed, half_speed, spend

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no core affinity")
BUSY = "import time\nwhile time.process_time() < 0.2: pass"


def python(code: str, **held: Any) -> processes.Spent:
    return spend([sys.executable, "-S", "-c", code], **held)


def test_the_memory_told_is_the_programs_and_not_of_what_started_it() -> None:
    mine = np.ones(200 << 20, np.uint8)
    assert python("pass").rss_mib < 60
    assert 150 < python("x = bytearray(b'1') * (150 << 20)").rss_mib < 220
    assert mine[-1] == 1


@needs_affinity
def test_the_time_of_programs_that_a_program_starts_counts() -> None:
    spent = spend(["sh", "-c", f'"{sys.executable}" -S -c "{BUSY}"; echo done'])
    assert spent.cpu_s >= 0.2
    assert spent.wall_s > 0.2
    assert spent.out == "done\n"


@needs_affinity
def test_a_program_is_held_to_its_cores() -> None:
    core = processes.cores()[-1]
    assert python("import os; print(os.sched_getaffinity(0))", on=[core]).out == f"{{{core}}}\n"


def test_what_goes_wrong_is_told_in_the_programs_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProcessFailed, match=r"ended with code 1: ValueError: it broke"):
        python("raise ValueError('it broke')")
    with pytest.raises(ProcessFailed, match=r"ended with code 127: no-such-program"):
        spend(["no-such-program"])
    monkeypatch.setattr(processes, "LONGEST", 0.2)
    with pytest.raises(ProcessFailed, match=r"took more than 0.2 s"):
        python("while True: pass")


@needs_affinity
def test_a_busy_process_takes_its_part_and_is_gone_at_the_end() -> None:
    before = set(children())
    with half_speed(processes.cores()[:1]) as held:
        assert len(set(children()) - before) == 1
        python(BUSY, on=processes.cores()[:1])
    assert set(children()) == before
    assert 0 < held.left[0] < 1
    assert "a busy process" in held.how


@needs_affinity
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may have a real-time policy")
def test_neither_inherits_a_real_time_policy() -> None:
    core = processes.cores()[:1]
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        with half_speed(core) as held:
            told = python(f"import os\n{BUSY}\nprint(os.sched_getscheduler(0))", on=core)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert told.out == f"{os.SCHED_OTHER}\n"
    assert 0.2 < held.left[0] < 1  # the busy process did not keep the core to itself


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


# --- two builds -------------------------------------------------------------------------------

def test_ratios_of_two_builds_are_taken_within_a_turn_and_musts_are_looked_at() -> None:
    row = Row("speed", "film", "speed", lambda stand, build: {}, [Must("wall_s", "<=", 0.5, "old"),
                                                                 Must("dropped", "<=", 0.5)])
    found = against.told(row, {OLD: [{"wall_s": 10.0, "dropped": 0.0}, {"wall_s": 20.0, "dropped": 3.0}],
                               NEW: [{"wall_s": 5.0, "dropped": 0.2}, {"wall_s": 9.0, "dropped": 0.4}]})
    assert found["ratio"]["wall_s"]["min"] == 0.45
    assert found["ratio"]["wall_s"]["max"] == 0.5
    assert "dropped" not in found["ratio"]  # nothing is a multiple of none
    assert [against.met(found, must) for must in row.musts] == [True, True]
    assert against.met(found, Must("wall_s", "<=", 0.4, "old")) is False
    assert against.met(found, Must("dropped", "<=", 0.4, "old")) is None


def test_the_two_builds_take_turns_and_the_first_changes() -> None:
    seen: list[str] = []

    def measure(stand: Any, build: Any) -> dict[str, float]:
        seen.append(build)
        return {"wall_s": 1.0}

    class Named(str):
        name = property(str)

    stand: Any = None
    both: list[Any] = [Named(OLD), Named(NEW)]
    found = against.measure(stand, both, [Row("a", "film", "a", measure), Row("b", "film", "b", measure)], 2)
    assert seen == [OLD, NEW, OLD, NEW, NEW, OLD, NEW, OLD]
    assert found["a"]["ratio"]["wall_s"]["median"] == 1.0


def test_rows_are_named_by_themselves_or_by_their_group() -> None:
    assert [row.name for row in against.chosen_rows(["start", "slow"])] == ["first frame", "help", "memory", "slow"]
    assert against.chosen_rows(None) == list(against.ROWS)
    with pytest.raises(ValueError, match=r"names 'fast'; rows are solid, .*groups film, "):
        against.chosen_rows(["fast"])


@pytest.mark.parametrize(("commit", "other", "kept"), [
    ("abc", "old1", True), ("abd", "old1", False), ("abc", "old2", False), ("abc-dirty", "old1", False)])
def test_rows_of_the_same_two_commits_are_kept(commit: str, other: str, kept: bool, tmp_path: Path) -> None:
    path = tmp_path / "against.json"
    path.write_text(json.dumps({"commit": commit if "dirty" in commit else "abc",
                                "against": "old1", "rows": {"solid": {}}, "commands": ["one"]}))
    assert bool(against.earlier(path, commit, other)["rows"]) is kept


def test_what_is_wanted_stands_once_for_each_row_of_the_issue() -> None:
    wanted = {row.name: [str(must) for must in row.musts] for row in against.ROWS if row.musts}
    assert wanted == {
        "photos": [">= 4 of old"], "first frame": ["<= 0.6 of old"], "help": ["<= 0.8 of old"],
        "memory": ["<= 0.7 of old"], "live": ["<= 0.65 of old", "<= 0.8 of old", "<= 0.7 of old"],
        "slow": [">= 29.85", "<= 0.5", "<= 0.5 of old"], "threads": [">= 1.7"], "files": [">= 1"]}
