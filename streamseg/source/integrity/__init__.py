"""Whether an input is complete: files, and streams that can be read only once."""

from .files import missing_in, missing_in_file
from .jpeg import following_jpeg
from .streams import StreamCheck

__all__ = ["StreamCheck", "following_jpeg", "missing_in", "missing_in_file"]
