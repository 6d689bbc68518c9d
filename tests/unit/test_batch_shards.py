"""Shards: every item in exactly one, whatever the machine."""

from __future__ import annotations

import pytest

from streamseg.batch.shards import Shard, array_task, shard_of
from streamseg.errors import OptionError

NAMES = [f"clips/{number}.mp4" for number in range(2000)]


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_every_item_is_in_one_shard(count: int) -> None:
    sizes = [sum(Shard(number, count).has(name) for name in NAMES) for number in range(count)]
    assert sum(sizes) == len(NAMES)
    assert min(sizes) > 0.5 * len(NAMES) / count
    for name in NAMES[:50]:
        assert sum(Shard(number, count).has(name) for number in range(count)) == 1


def test_a_longer_list_leaves_the_others_where_they_are() -> None:
    assert [name for name in NAMES[:100] if Shard(3, 8).has(name)] == [
        name for name in NAMES if Shard(3, 8).has(name)][:sum(Shard(3, 8).has(name) for name in NAMES[:100])]


def test_a_name_that_is_no_text_has_a_shard() -> None:
    assert Shard(0, 2).has("\udcff.mp4") != Shard(1, 2).has("\udcff.mp4")


@pytest.mark.parametrize(("text", "environment", "wanted"), [
    (None, {"SLURM_ARRAY_TASK_ID": "3"}, Shard()), ("2/5", {}, Shard(2, 5)), (" 0 / 1 ", {}, Shard()),
    ("auto", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_STEP": "2",
              "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(2, 4)),
    ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(0, 4)),
    ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "5", "AWS_BATCH_JOB_ARRAY_SIZE": "6"}, Shard(5, 6)),
    ("auto/9", {"JOB_COMPLETION_INDEX": "8"}, Shard(8, 9))])
def test_what_a_shard_is_told(text: str | None, environment: dict[str, str], wanted: Shard) -> None:
    assert shard_of(text, environment) == wanted


@pytest.mark.parametrize(("text", "environment", "words"), [
    ("8/8", {}, "allowed is 0/8 to 7/8: parts are counted from 0"), ("1", {}, "must be I/N"),
    ("a/b", {}, "must be I/N"),
    ("0/0", {}, "allowed are 1 to 1000000 parts"), ("auto", {}, "none of SLURM_ARRAY_TASK_ID"),
    ("auto", {"JOB_COMPLETION_INDEX": "1"}, "without a count: give --shard auto/N"),
    ("auto", {"SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID is 'x'")])
def test_what_is_no_shard_is_refused(text: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError) as error:
        shard_of(text, environment)
    assert words in str(error.value)


def test_an_arrays_task_is_known() -> None:
    assert array_task({"AWS_BATCH_JOB_ARRAY_INDEX": "0"}) == "AWS_BATCH_JOB_ARRAY_INDEX"
    assert array_task({}) is None
