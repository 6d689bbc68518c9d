"""What of this machine works: each part is tried, not only looked for, and each fault comes with its remedy.

    hardware    camera, virtual camera, PipeWire, microphone, GPU
    software    the libraries, the runtimes for models, the model files, encoders and decoders
    places      the folder of the outputs and the one for temporary files: may they be written, is there room
    trial       one picture through everything: model, encoder, file, decoder

``examine`` goes through all. No check ends the others: what a check raises is its finding.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...errors import StreamsegError
from .finding import FAULT, LACKING, OK, Finding

__all__ = ["CHECKS", "FAULT", "LACKING", "OK", "Check", "Finding", "examine", "exit_code"]

Check = tuple[str, str, bool]
"""What is checked, ``module:function``, and whether a plain ``streamseg run`` needs it. A function takes the folder of
the outputs and gives Findings, each of which says for itself what it is about."""

# In this order: the libraries start threads, and what the devices' libraries write to standard error can be hidden only
# as long as there are none.
CHECKS: tuple[Check, ...] = (
    ("camera", "hardware:camera", False),
    ("virtual camera", "hardware:virtual_camera", False),
    ("PipeWire", "hardware:pipewire", False),
    ("microphone", "hardware:microphone", False),
    ("GPU", "hardware:gpu", False),
    ("libraries", "software:libraries", True),
    ("runtimes", "software:runtimes", True),
    ("model files", "software:model_files", True),
    ("codecs", "software:codecs", True),
    ("output folder", "places:output_folder", True),
    ("temporary folder", "places:temporary_folder", True),
    ("one frame", "trial:one_frame", True),
)


def examine(folder: Path, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """The findings of all checks, as they come. ``folder``: where outputs are to be written."""
    for name, place, needed in checks:
        module, _, function = place.partition(":")
        try:
            check: Callable[[Path], list[Finding]] = getattr(
                importlib.import_module("." + module, __package__), function)
            yield from check(folder)
        except StreamsegError as error:
            yield Finding(name, FAULT, str(error), "do what this message says", needed)
        except Exception as error:  # the report is made for machines on which something is wrong
            yield Finding(name, FAULT, f"{type(error).__name__}: {error}",
                          "put this report into an issue: the check itself failed", needed)


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where nothing that a plain ``streamseg run`` needs is wrong, else 1."""
    return int(any(item.state == FAULT and item.needed for item in findings))
