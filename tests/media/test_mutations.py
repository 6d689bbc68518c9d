"""At least 200 mutated files: exit code 0 or 1, one line of error, never a traceback, a hang or a dead
process, and no partial file."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import mutated

MUTATIONS = 9


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", mutated.KINDS)
def test_mutated_files_end_with_0_or_1_and_leave_nothing_behind(kind: str, tmp_path: Path):
    original = mutated.KINDS[kind](tmp_path / kind)
    work, target = tmp_path / "work", mutated.target_of(kind, tmp_path / "out")
    work.mkdir()
    runner = mutated.Runner(tmp_path / "log")
    try:
        mutated.passes_whole(runner, original, target)
        codes = [mutated.checked(runner, broken, target, ("stop", "skip")[number % 2])
                 for number, broken in enumerate(mutated.mutations(original, work, range(MUTATIONS)))]
    finally:
        runner.close()
    assert len(codes) == 3 * MUTATIONS
    assert 1 in codes, "no mutation was noticed"


def test_there_are_at_least_200_mutations():
    assert len(mutated.KINDS) * 3 * MUTATIONS >= 200
