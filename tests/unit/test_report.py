"""What a run says of the memory that it took."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamseg.report import peak_rss_mib

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
