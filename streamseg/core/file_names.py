"""What the names of files say: which are pictures, and in which order people put them."""

from __future__ import annotations

import re

# Pictures that are read, by extension; what is written is in sink.containers
PICTURES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".jp2", ".j2k", ".jxl",
            ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".exr", ".hdr", ".dds", ".tga", ".qoi", ".dpx", ".sgi",
            ".avif", ".heic", ".heif", ".ico")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by value."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
            for part in re.split(r"(\d+)", name) if part] + [(2, 0, name)]
