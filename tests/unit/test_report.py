"""What a run says of its stages, of the memory that it took, and of the size that its files will have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamseg.report import Forecast, Stopwatch, peak_rss_mib

ASKED = "from streamseg.report import peak_rss_mib; print(peak_rss_mib())"


def test_the_peak_is_the_processs_own_and_not_what_its_parent_held() -> None:
    """`streamseg bench` and the benchmarks, which hold clips, start the runs whose memory they tell."""
    if peak_rss_mib() is None:
        pytest.skip("this system does not tell how much memory a process has taken")
    held = "held = bytearray(300 << 20); held[::4096] = b'x' * len(held[::4096])"
    parent = f"import subprocess, sys; {held}; subprocess.run([sys.executable, '-c', {ASKED!r}], check=True)"
    said = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
            for program in (ASKED, parent)]
    alone, below = map(float, said)
    assert 5 < alone < 250
    assert below < alone + 100


def test_the_peak_stays_when_memory_is_given_back() -> None:
    if peak_rss_mib() is None:
        pytest.skip("this system does not tell how much memory a process has taken")
    program = f"held = bytearray(200 << 20); held[::4096] = b'x' * len(held[::4096]); del held; {ASKED}"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(said) > 200


FRAME, HEADER, TOTAL = 40_000, 5_000, 300  # bytes of a frame and of a file's head; frames


def sized(file: Path, size: int) -> None:
    """Make ``file`` of ``size`` bytes, none of which takes room on the disk."""
    with file.open("ab") as stream:
        stream.truncate(size)


def grown(file: Path, frames: int, held: int, gulp: int) -> None:
    """Make ``file`` as large as it is after so many frames: an encoder holds ``held`` frames back, and the
    muxer writes when ``gulp`` bytes are there."""
    there = HEADER + FRAME * max(0, frames - held)
    sized(file, there // gulp * gulp)


def told(files: Sequence[tuple[Path, int, int]], total: int | None = TOTAL,
         rate: Fraction | None = Fraction(30)) -> list[int | None]:
    """What the forecast says after each frame of files (path, held, gulp)."""
    forecast, said = Forecast([file for file, _, _ in files], total, rate), []
    for frames in range(1, TOTAL + 1):
        for file, held, gulp in files:
            grown(file, frames, held, gulp)
        said.append(forecast.at(frames))
    return said


@pytest.mark.parametrize(("held", "gulp"), [(0, 1), (60, 1), (20, 262_144), (36, 5 * 10 * FRAME)])
def test_the_size_at_the_end_is_told_whatever_is_held_back_and_however_it_is_written(
        tmp_path: Path, held: int, gulp: int) -> None:
    said = told([(tmp_path / "a.mp4", held, gulp)])
    known = [size for size in said if size is not None]
    assert len(known) > TOTAL // 4
    assert None not in said[said.index(known[0]):]
    assert known == pytest.approx([FRAME * TOTAL] * len(known), rel=0.12)


def test_until_some_seconds_of_film_are_written_no_size_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    for rate, first in ((Fraction(30), 98), (Fraction(10), 38), (None, 83)):
        said = told([(file, 0, 1)], rate=rate)
        assert set(said[:first - 3]) == {None}
        assert said[first + 8] is not None


def test_a_file_of_which_little_is_written_is_not_foretold(tmp_path: Path) -> None:
    forecast = Forecast([tmp_path / "a.mp4"], TOTAL, Fraction(30))
    for frames in range(1, TOTAL + 1):
        sized(tmp_path / "a.mp4", 1000 * frames)
        assert forecast.at(frames) is None


def test_the_sizes_of_several_files_are_told_together_and_only_when_all_are_known(tmp_path: Path) -> None:
    early, late = (tmp_path / "a.mp4", 0, 1), (tmp_path / "b.mkv", 150, 1)
    said, alone = told([early, late]), told([late])
    assert [size is None for size in said] == [size is None for size in alone]
    assert said[-1] == pytest.approx(2 * FRAME * TOTAL, rel=0.05)


def test_a_size_is_not_told_where_the_total_is_not_known_or_no_file_is_written(tmp_path: Path) -> None:
    assert set(told([(tmp_path / "a.mp4", 0, 1)], total=None)) == {None}
    assert Forecast([], TOTAL, Fraction(30)).at(200) is None


def test_the_files_are_looked_at_every_few_frames_only(tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: looked.append(path) or real(path, **more))
    forecast = Forecast([tmp_path / "a.mp4"], TOTAL, Fraction(30))
    for frames in range(1, 81):
        assert forecast.at(frames) is None  # no file is there
    assert 5 <= len(looked) <= 20


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21])
def test_stages_have_the_quantiles_that_numpy_finds(count: int) -> None:
    watch = Stopwatch()
    seconds = np.random.default_rng(count).uniform(0.001, 0.5, count).astype(np.float32)
    for value in seconds:
        watch.count("decode", float(value))
    found = watch.stages()["decode"]
    p50, p95 = np.quantile(seconds.astype(float), (0.5, 0.95)) * 1e3
    assert (found.p50_ms, found.p95_ms) == pytest.approx((p50, p95), abs=1e-3)
    assert found.total_s == pytest.approx(float(seconds.sum()), abs=1e-3)
