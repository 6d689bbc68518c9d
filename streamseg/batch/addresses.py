"""Addresses and paths: which is which, and who reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

# What FFmpeg reads itself, with --timeout and --retry
_OF_FFMPEG = ("http", "https", "ftp", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srtp", "udp", "tcp", "srt", "mms",
              "mmsh", "rist", "hls", "concat", "pipe", "crypto", "data")


def is_address(spec: str) -> bool:
    """Whether ``spec`` is an address and no path: scheme://..., but not file://."""
    return re.match(r"(?!file:)[a-z][a-z0-9+.-]+://", spec, re.IGNORECASE) is not None


def is_remote(spec: str) -> bool:
    """Whether ``spec`` is an address for fsspec: neither a path nor what FFmpeg reads itself."""
    return is_address(spec) and spec.partition("://")[0].lower() not in _OF_FFMPEG


def base_name(spec: str) -> str:
    """The last part of a path or of an address's path."""
    if "://" in spec:
        return PurePosixPath(unquote(urlsplit(spec).path)).name or urlsplit(spec).netloc
    return Path(os.path.abspath(spec)).name
