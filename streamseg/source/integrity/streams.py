"""Whether a stream that can be read only once is complete.

A pipe whose writer was killed ends like any other. Matroska, MPEG-TS and Y4M consist of pieces of known length,
so an incomplete last piece shows. A stream that ends between two pieces looks complete. (For other containers
FFmpeg itself reports an incomplete last packet.)
"""

from __future__ import annotations

from .layouts import ts_packet, y4m_fields, y4m_record

HEAD = 4096
EBML = b"\x1a\x45\xdf\xa3"


class StreamCheck:
    """Watches the bytes that are read from a stream. ``received``: bytes so far; ``head``: the first of them."""

    def __init__(self) -> None:
        self.received = 0
        self._ended = False
        self.head = b""
        self._elements: _Elements | None = None

    def feed(self, data: bytes) -> None:
        """Take the bytes that were read next; empty at the end of the stream."""
        self._ended = not data
        before = self.head
        self.head += data[:HEAD - len(before)]
        if len(before) < len(EBML) and self.head.startswith(EBML):
            self._elements = _Elements()
            self._elements.feed(before)
        self.received += len(data)
        if self._elements is not None:
            self._elements.feed(data)

    def missing(self) -> str | None:
        """What is missing; None if nothing is, if the format states no length, or before the end is reached."""
        if not self._ended:
            return None
        if self._elements is not None:
            return self._elements.missing()
        length = ts_packet(self.head)
        if length is not None:
            return "its last packet is not whole" if self.received % length else None
        if self.head.startswith(b"YUV4MPEG2 "):
            return self._y4m()
        return None

    def _y4m(self) -> str | None:
        header, end, frames = self.head.partition(b"\n")
        record = y4m_record(y4m_fields(header))
        if not end or record is None or not frames.startswith(b"FRAME\n"):  # frames with parameters have other lengths
            return None
        return "its last frame is not whole" if (self.received - len(header) - 1) % record else None


class _Elements:
    """Follows Matroska's elements (RFC 8794): it skips those that state their size and enters those that do not
    (in a stream: the segment, and the clusters of some writers)."""

    def __init__(self) -> None:
        self._remaining = 0  # bytes until the head of the next element
        self._head = b""  # of the next element, as far as it was read
        self._lost = False

    def feed(self, data: bytes) -> None:
        rest = memoryview(data)  # no copies
        while rest and not self._lost:
            if self._remaining:
                passed = min(self._remaining, len(rest))
                self._remaining, rest = self._remaining - passed, rest[passed:]
                continue
            self._head, rest = self._head + rest[:1], rest[1:]
            try:
                size = _size(self._head)
            except IndexError:  # the head is not complete yet
                continue
            except ValueError:  # no element: the demuxer reports the damage
                self._lost = True
                return
            self._head, self._remaining = b"", size

    def missing(self) -> str | None:
        whole = self._lost or not (self._remaining or self._head)
        return None if whole else f"{self._remaining or 'some'} bytes of its last element are missing"


def _size(head: bytes) -> int:
    """Of the element whose head (identifier and length) it is; 0 where it does not state it.

    Raises IndexError while the head is not complete, ValueError where it is none.
    """
    start = _length(head, 0, 4)
    end = start + _length(head, start, 8)
    if len(head) < end:
        raise IndexError
    bits = 7 * (end - start)
    value = int.from_bytes(head[start:end], "big") & ((1 << bits) - 1)
    return 0 if value == (1 << bits) - 1 else value


def _length(head: bytes, at: int, most: int) -> int:
    """Bytes of the number that begins at ``at``: the zeros before the first one bit say it."""
    length = 9 - head[at].bit_length()
    if length > most:
        raise ValueError(head)
    return length
