"""A fake of pyvirtualcam with its interface."""

from __future__ import annotations

import sys
import types
from typing import Any, ClassVar

import numpy as np
import pytest


class FakeCamera:
    """pyvirtualcam.Camera: keeps what it is sent. ``fails``: what opening raises; ``breaks``: sending."""

    made: ClassVar[list[FakeCamera]] = []
    fails: Exception | None = None
    breaks: Exception | None = None

    def __init__(self, width: int, height: int, fps: float, *, fmt: str, device: str | None = None,
                 backend: str | None = None) -> None:
        if self.fails is not None:
            raise self.fails
        self.width, self.height, self.fps, self.fmt = width, height, fps, fmt
        self.device = device or "/dev/video20"
        self.sent: list[np.ndarray] = []
        self.closed = 0
        self.made.append(self)

    def send(self, frame: np.ndarray) -> None:
        if self.breaks is not None:
            raise self.breaks
        assert frame.shape == (self.width * self.height * 3 // 2,)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        self.sent.append(frame.copy())

    def close(self) -> None:
        self.closed += 1


def fake_pyvirtualcam(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    """Put the fake in pyvirtualcam's place. -> its Camera, whose ``made`` are this test's"""
    module: Any = types.ModuleType("pyvirtualcam")

    class Fresh(FakeCamera):
        made: ClassVar[list[FakeCamera]] = []

    module.Camera = Fresh
    module.PixelFormat = types.SimpleNamespace(I420="I420")
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    return Fresh
