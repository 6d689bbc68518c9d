"""Under which licences the code, the models and the libraries are, as the files and the installed packages themselves
say: `streamseg info --licenses`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from .. import __version__

CODE = "MIT"
WEIGHTS = Path(__file__).parents[1] / "weights"
CARD = WEIGHTS / "MODEL_CARD.md"
# Packages that are used where they are installed, but OpenCV
PACKAGES = ("numpy", "av", "ai-edge-litert", "scikit-learn", "click", "rich", "tensorflow", "keras",
            "onnxruntime", "pillow", "pi-heif", "matplotlib", "pyvirtualcam")
# Wheels of OpenCV that stand for one another; pip knows one of them as our dependency
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
NOT_TO_RUN = ("test", "test-cluster", "test-container", "dev", "all", "bench")  # extras that develop and measure
# As both encoders' own files say; their makers sell other licences
X26X = "GPL-2.0-or-later"
UNKNOWN = "not stated in its metadata"
_NAME, _EXTRA = re.compile(r"[A-Za-z0-9._-]+"), re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def licences() -> dict[str, list[dict[str, Any]]]:
    """``code``, ``weights`` and ``libraries``: a mapping each of name or file, version, and ``licence``.

    Libraries are those that are installed of what streamseg needs (``for`` "streamseg") and of what its extras need
    (``for`` the extra), with what those need in turn.
    """
    return {"code": [{"name": "streamseg", "version": __version__, "licence": CODE}],
            "weights": list(_weights()),
            "libraries": [*_libraries(), *_inside_av()]}


def _weights() -> Iterator[dict[str, Any]]:
    """Each model file: what its own metadata says, and what the model card says of all."""
    from ..segment.model_file import describe
    stated = re.search(r"^\| licence \| (.+) \|$", CARD.read_text(encoding="utf-8"), re.MULTILINE)
    card = stated[1] if stated else UNKNOWN
    for path in sorted(WEIGHTS.glob("*.tflite")) + sorted(WEIGHTS.glob("*.keras")):
        own = (describe(path).get("spec") or {}).get("licence")
        yield {"file": path.name, "licence": own or card, "model card": card}


def _libraries() -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for name, needed_for in _needed():
        for found in _installed(name, seen):
            yield {"name": found.metadata["Name"], "version": found.version, "licence": licence_of(found),
                   "for": needed_for}


def _needed() -> Iterator[tuple[str, str]]:
    """Name, and the extra that wants it or 'streamseg': what every run needs comes first."""
    try:
        lines = distribution("streamseg").requires or []
    except PackageNotFoundError:  # run out of a folder: nobody wrote down what it needs
        lines = list(PACKAGES)
    told = [(found[0], wanted[1] if (wanted := _EXTRA.search(line)) else "streamseg")
            for line in lines if (found := _NAME.match(line))]
    told += [(name, "streamseg") for name in OPENCV]
    yield from sorted((item for item in told if item[1] not in NOT_TO_RUN), key=lambda item: item[1] != "streamseg")


def _installed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """The installed package of that name and what it needs, each once."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    if normal in seen or normal == "streamseg":
        return
    seen.add(normal)
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    yield found
    for line in found.requires or []:
        if _EXTRA.search(line) is None and (further := _NAME.match(line)):
            yield from _installed(further[0], seen)


def licence_of(package: Distribution) -> str:
    """The licence that a package's metadata states: its expression, else its classifiers, else a short text."""
    stated = package.metadata
    for expression in stated.get_all("License-Expression") or []:
        return str(expression)
    classified = [line.rsplit(" :: ", 1)[1] for line in stated.get_all("Classifier") or []
                  if line.startswith("License ::") and line != "License :: OSI Approved"]
    text = str((stated.get_all("License") or [""])[0]).strip()
    if text and "\n" not in text and text not in classified:
        classified.insert(0, text)
    return "; ".join(classified) or UNKNOWN


def _inside_av() -> Iterator[dict[str, Any]]:
    """FFmpeg, and the two encoders that its own statement leaves out, come inside av's wheel under other licences than
    av's."""
    try:
        from av._core import ffmpeg_version_info, library_meta
    except ImportError:  # `info` tells of an av that does not load
        return
    built = library_meta["libavcodec"]
    yield {"name": "FFmpeg (inside av)", "version": ffmpeg_version_info, "licence": built["license"],
           "for": "streamseg"}
    for name in ("libx264", "libx265"):
        if f"--enable-{name}" in built["configuration"]:
            yield {"name": f"{name} (inside av)", "version": "", "licence": X26X, "for": "streamseg"}
