"""For programs that are frozen with streamseg inside: tells PyInstaller where ``hook-streamseg.py`` lies.

PyInstaller finds ``hook_dirs`` by the entry point ``pyinstaller40`` of the installed package.
"""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """The folders with hooks of PyInstaller."""
    return [str(Path(__file__).parent)]
