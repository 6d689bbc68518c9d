"""A file at an http or https address, read through Python: FFmpeg keeps to itself whether all of it came.

What was announced (the length, the last chunk) is compared with what comes. A server that takes ranges is read in any
order; a connection that breaks is taken up again where it broke. Playlists (HLS, DASH) are FFmpeg's own to fetch.
"""

from __future__ import annotations

import base64
import http.client
import tempfile
import urllib.error
import urllib.request
import weakref
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..errors import SourceError, SourceTimeoutError
from .byte_input import ByteInput, InputFile

HEAD = 1 << 16  # bytes that are read at once, from which playlists and indexes are known
NEAR = 1 << 20  # bytes ahead that are read over rather than asked for anew
FETCHED = 2 << 30  # bytes of a file that is fetched whole, as its index is at its end and the server takes no ranges
PLAYLISTS = ("mpegurl", "dash+xml", "sdp")


class HttpInput(ByteInput):
    """Bytes of ``address``; ``timeout``: seconds in which some must come; ``retry``: how often a broken connection is
    taken up again. Raises SourceError and SourceTimeoutError.

    head  the first bytes
    kind  the Content-Type, in small letters
    """

    def __init__(self, address: str, timeout: float, retry: int = 0) -> None:
        super().__init__(address)
        self._timeout, self._retry = timeout, retry
        self._held: dict[str, Any] = {}
        self._closing = weakref.finalize(self, _close, self._held)
        self._place, self._at = 0, 0  # where the reader is, where the connection is
        self._broken: str | None = None
        response = self._connect(0)
        self.kind = str(response.headers.get("Content-Type", "")).lower()
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() and "chunked" not in self._encoding(response) else None
        ranged = str(response.headers.get("Accept-Ranges", "")).lower() == "bytes"
        self._seekable = ranged and self.length is not None
        self.head = b""
        while len(self.head) < HEAD and (more := self._receive(HEAD - len(self.head))):
            self.head += more

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file object; nothing is asked of the server before the next read."""
        base = {0: 0, 1: self._place, 2: self.length or 0}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """As of a file object."""
        return self._place

    def missing(self) -> str | None:
        """As ByteInput's: a connection that broke off, or a last piece that is not whole."""
        return self._broken or (None if self._seekable else super().missing())

    def close(self) -> None:
        """End the connection; may be called twice."""
        self._closing()

    def is_playlist(self) -> bool:
        """Whether it names other addresses: FFmpeg fetches those."""
        start = self.head[:512].lstrip()
        return any(name in self.kind for name in PLAYLISTS) or start.startswith(b"#EXTM3U") or b"<MPD" in start

    def has_late_index(self) -> bool:
        """Whether it is an MP4 whose index comes behind its data."""
        if self.head[4:8] != b"ftyp":
            return False
        at = 0
        while at + 8 <= len(self.head):
            size, name = int.from_bytes(self.head[at:at + 4], "big"), self.head[at + 4:at + 8]
            if name in (b"moov", b"mdat"):
                return name == b"mdat"
            if size < 8:
                return False
            at += size
        return False

    def fetched(self) -> InputFile:
        """All of it as a temporary file. Raises SourceError for more than FETCHED bytes, or if some are missing."""
        if (self.length or 0) > FETCHED:
            raise self._too_large()
        file = tempfile.TemporaryFile()  # noqa: SIM115  it belongs to what is returned
        self.seek(0)
        while data := self._read(HEAD):
            file.write(data)
            if file.tell() > FETCHED:
                raise self._too_large()
        if self._broken:
            raise SourceError(f"{self.name}: {self._broken}; its index is at its end")
        self.close()
        return InputFile(file, self.name)

    def _too_large(self) -> SourceError:
        return SourceError(f"{self.name}: its index is at its end, and the server gives no parts of it; files up to "
                           f"{FETCHED >> 30} GiB are fetched first: download it, and give the file")

    def _read(self, size: int) -> bytes:
        if self._place < len(self.head):
            data = self.head[self._place:self._place + size]
        else:
            if not self._go():
                return b""
            data = self._receive(size)
        self._place += len(data)
        return data

    def _go(self) -> bool:
        """Bring the connection to the reader's place; False behind the end."""
        if self.length is not None and self._place >= self.length:
            return False
        if not self._at <= self._place <= self._at + NEAR:
            self._connect(self._place)
        while self._at < self._place:
            if not self._receive(min(HEAD, self._place - self._at)):
                return False
        return True

    def _receive(self, size: int) -> bytes:
        """The next bytes of the connection; empty at the end, and where it breaks off for good."""
        while True:
            try:
                data: bytes = self._held["response"].read1(size)
            except TimeoutError as error:
                raise self._silent() from error
            except (http.client.HTTPException, OSError, ValueError) as error:
                broken = f"the connection broke off after {self._at} bytes ({type(error).__name__})"
            else:
                self._at += len(data)
                if data or self.length is None or self._at >= self.length:
                    return data
                broken = f"the connection broke off after {self._at} of {self.length} bytes"
            if not self._retry or not getattr(self, "_seekable", False):
                self._broken = broken
                return b""
            self._retry -= 1
            self._connect(self._at)

    def _connect(self, place: int) -> Any:
        """Ask for all from ``place`` on."""
        _close(self._held)
        request = _request(self.name, place)
        try:
            response = urllib.request.urlopen(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            error.close()
            raise SourceError(f"{self.name} cannot be opened: HTTP {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise self._silent() from error
            raise SourceError(f"{self.name} cannot be opened: {getattr(cause, 'strerror', None) or cause}") from error
        self._held["response"] = response
        if place and response.status != http.client.PARTIAL_CONTENT:
            raise SourceError(f"{self.name}: the server says that it gives parts of the file, and does not: download "
                              "it, and give the file")
        self._at = place
        return response

    def _silent(self) -> SourceTimeoutError:
        return SourceTimeoutError(f"nothing came from {self.name} for {self._timeout:g} s: check the address and the "
                                  "network; --timeout waits longer, --retry (live: --reconnect) tries again")

    @staticmethod
    def _encoding(response: Any) -> str:
        return str(response.headers.get("Transfer-Encoding", "")).lower()


def _close(held: dict[str, Any]) -> None:
    response = held.pop("response", None)
    if response is not None:
        response.close()


def _request(address: str, place: int) -> urllib.request.Request:
    parts = urlsplit(address)
    headers = {"User-Agent": "streamseg", "Accept-Encoding": "identity"}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
    if place:
        headers["Range"] = f"bytes={place}-"
    path = quote(parts.path, "/%:@!$&'()*+,;=~")
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, fragment="")
    return urllib.request.Request(urlunsplit(plain), headers=headers)
