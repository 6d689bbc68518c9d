"""Whether what came through a pipe is all there: as ``completeness``, of what can be read only once.

A writer that is killed leaves a pipe that ends as any other. Matroska, MPEG-TS and Y4M are made of pieces
whose length is known: one that is not whole tells. Where a stream ends between two of them, nothing does.
(FFmpeg reports the broken last piece of the other containers itself.)
"""

from __future__ import annotations

from .integrity import ts_packet, y4m_fields, y4m_record

HEAD = 4096
EBML = b"\x1a\x45\xdf\xa3"


class Flow:
    """Takes note of what is read. ``received``: bytes so far."""

    def __init__(self) -> None:
        self.received = 0
        self._ended = False
        self._head = b""
        self._elements: _Elements | None = None

    def feed(self, data: bytes) -> None:
        """Tell what was read next; nothing at the end."""
        self._ended = not data
        before = self._head
        self._head += data[:HEAD - len(before)]
        if len(before) < len(EBML) and self._head.startswith(EBML):
            self._elements = _Elements()
            self._elements.feed(before)
        self.received += len(data)
        if self._elements is not None:
            self._elements.feed(data)

    def cut_off(self) -> str | None:
        """What is missing; None if nothing is, if the format does not tell, or if the end was not reached."""
        if not self._ended:
            return None
        if self._elements is not None:
            return self._elements.cut_off()
        length = ts_packet(self._head)
        if length is not None:
            return "its last packet is not whole" if self.received % length else None
        if self._head.startswith(b"YUV4MPEG2 "):
            return self._y4m()
        return None

    def _y4m(self) -> str | None:
        header, end, frames = self._head.partition(b"\n")
        record = y4m_record(y4m_fields(header))
        if not end or record is None or not frames.startswith(b"FRAME\n"):  # its frames may have parameters
            return None
        return "its last frame is not whole" if (self.received - len(header) - 1) % record else None


class _Elements:
    """Follows Matroska's elements (RFC 8794): over those that state their size, into those that do not, which
    in a stream are the segment and some writers' clusters."""

    def __init__(self) -> None:
        self._ahead = 0  # bytes until the next element's head
        self._head = b""  # of that, as far as it has come
        self._lost = False

    def feed(self, data: bytes) -> None:
        rest = memoryview(data)  # taken piece by piece, without copies
        while rest and not self._lost:
            if self._ahead:
                passed = min(self._ahead, len(rest))
                self._ahead, rest = self._ahead - passed, rest[passed:]
                continue
            self._head, rest = self._head + rest[:1], rest[1:]
            try:
                size = _size(self._head)
            except IndexError:  # there is more of it to come
                continue
            except ValueError:  # no element: damage, of which the demuxer tells
                self._lost = True
                return
            self._head, self._ahead = b"", size

    def cut_off(self) -> str | None:
        whole = self._lost or not (self._ahead or self._head)
        return None if whole else f"{self._ahead or 'some'} bytes of its last element are missing"


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
