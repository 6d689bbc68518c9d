"""The type of the small pictures and mattes in here."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]  # OpenCV's stubs know no dtypes: float32 (h, w) mattes, uint8 (h, w) pictures
