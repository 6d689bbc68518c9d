"""Whether an input is complete: files, and streams that can be read only once."""

from .files import missing_in, missing_in_file
from .streams import StreamCheck

__all__ = ["StreamCheck", "missing_in", "missing_in_file"]
