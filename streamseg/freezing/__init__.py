"""For programs that are frozen with streamseg inside: what PyInstaller's hook and Nuitka's options have in common.

PyInstaller finds ``hook_dirs``, the folder of ``hook-streamseg.py``, by the entry point ``pyinstaller40`` of the
installed package. Nuitka reads no hooks: ``python -m streamseg.freezing`` prints the options that it wants.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

# Whose metadata `streamseg info` reads
LIBRARIES = ("streamseg", "ai-edge-litert", "av", "click", "flatbuffers", "numpy", "opencv-python", "pillow", "rich",
             "scikit-learn", "threadpoolctl")
# Large libraries of the extras: a program that wants one says so. ONNX Runtime is one of them: its tools import PyTorch
# and TensorFlow, where they are installed
LEFT_OUT = ("tensorflow", "keras", "jax", "torch", "onnxruntime", "ray", "matplotlib", "skimage", "pycocotools")


def hook_dirs() -> list[str]:
    """The folders with hooks of PyInstaller."""
    return [str(Path(__file__).parent)]


def nuitka_options() -> list[str]:
    """What Nuitka cannot see by itself: files that are no modules, modules that are loaded by name, and the metadata of
    the libraries, of those that are installed."""
    return ["--include-package=streamseg", "--include-package-data=streamseg",
            *(f"--include-distribution-metadata={name}" for name in LIBRARIES if _installed(name)),
            f"--nofollow-import-to={','.join(LEFT_OUT)}"]


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
