"""Prints the options for Nuitka: python -m nuitka --standalone $(python -m streamseg.freezing) program.py"""

from . import nuitka_options

if __name__ == "__main__":
    print(*nuitka_options())
