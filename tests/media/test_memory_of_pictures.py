"""Pictures that are read, one after another, leave no memory behind: neither Python's nor a library's."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import pytest

import streamseg
from streamseg.source.stills import read_picture
from tests import stills

READS = 120


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"))


def in_use() -> int:
    """Bytes that all of the process's code holds from malloc, as glibc counts them."""
    gc.collect()
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        pytest.skip("only glibc (2.33 and later) counts what is in use")
    mallinfo.restype = _Mallinfo
    return int(mallinfo().uordblks)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_picture_that_was_read_leaves_nothing_in_memory(ending: str, tmp_path: Path) -> None:
    """An iterator of PyAV's that is given up, and not closed, leaks 150 bytes."""
    path = stills.image(tmp_path / f"a.{ending}", size=(32, 24))
    least = 1 << 30
    for _ in range(4):  # other threads and caches take something now and then
        before = in_use()
        for _ in range(READS):
            read_picture(path, streamseg.Options())
        least = min(least, in_use() - before)
    assert least < 30 * READS
