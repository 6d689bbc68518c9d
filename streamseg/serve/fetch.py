"""Reads an address that a request names, without letting it reach into private networks.

The name is resolved once; all its addresses must be public, and the connection goes to one of those that were
looked at, whatever the name would resolve to a moment later. Each redirect is a connection of its own and is
checked the same way. Bytes and time are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from .refusals import Refusal

REDIRECTS = 4
SECONDS = 30.0
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Wanted = Callable[[str], bool]


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet, and so is an IPv4 address that it stands for."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    return all(item.is_global and not item.is_multicast for item in (address, *_embedded(address)))


def _embedded(address: Address) -> Iterable[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to an address of the name's that ``allowed`` takes, and to none if any is not taken."""

    def __init__(self, allowed: Wanted) -> None:
        self._allowed = allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                          socket_options: Iterable[Any] | None = None) -> httpcore.AsyncNetworkStream:
        """Resolve ``host`` once, look at what came, and connect to that."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Refusal("failed_download", f"{host!r} cannot be resolved") from error
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if not addresses or not all(map(self._allowed, addresses)):
            raise Refusal("failed_download", f"{host!r} is an address of a private network, which is not read")
        return await self._network.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, path: str, timeout: float | None = None,
                                  socket_options: Iterable[Any] | None = None) -> httpcore.AsyncNetworkStream:
        """Never: no request may name a socket of this machine."""
        raise Refusal("failed_download", "no address is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Fetcher:
    """``allowed``: which IP addresses may be connected to; ``on``: whether requests may name addresses at all."""

    def __init__(self, *, on: bool, allowed: Wanted = is_public, seconds: float = SECONDS) -> None:
        self.on, self._seconds = on, seconds
        self._allowed = allowed

    async def to_file(self, url: str, path: Path, limit: int) -> int:
        """Write what ``url`` gives to ``path``. -> bytes

        Raises Refusal: urls_off, failed_download, too_large (more than ``limit`` bytes).
        """
        if not self.on:
            raise Refusal("urls_off", "this server reads no addresses (it was started without --urls): send the file")
        try:
            async with asyncio.timeout(self._seconds), self._pool() as pool:
                return await self._followed(pool, url, path, limit)
        except TimeoutError as error:
            raise Refusal("failed_download", f"the address did not give its file within {self._seconds:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException,
                httpcore.UnsupportedProtocol, ssl.SSLError, OSError, ValueError) as error:
            raise Refusal("failed_download", f"the address cannot be read ({type(error).__name__})") from error

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        """Send ``content`` to ``url``, no redirect followed. -> the status. Raises as ``to_file`` does."""
        _checked(url)
        try:
            async with asyncio.timeout(self._seconds), self._pool() as pool:
                answer = await pool.request("POST", url, headers=list(headers.items()), content=content)
                return int(answer.status)
        except (TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException,
                ssl.SSLError, OSError, ValueError) as error:
            raise Refusal("failed_download", f"the address cannot be reached ({type(error).__name__})") from error

    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(network_backend=_CheckedNetwork(self._allowed), max_connections=1)

    async def _followed(self, pool: httpcore.AsyncConnectionPool, url: str, path: Path, limit: int) -> int:
        for _ in range(REDIRECTS + 1):
            _checked(url)
            async with pool.stream("GET", url, headers=[("Accept", "*/*"), ("User-Agent", "streamseg")]) as answer:
                where = _header(answer, b"location")
                if answer.status in (301, 302, 303, 307, 308) and where:
                    url = urljoin(url, where.decode("latin-1"))
                    continue
                if answer.status != 200:
                    raise Refusal("failed_download", f"the address answered {answer.status}")
                return await self._written(answer, path, limit)
        raise Refusal("failed_download", f"the address leads on more than {REDIRECTS} times")

    async def _written(self, answer: httpcore.Response, path: Path, limit: int) -> int:
        too_large = Refusal("too_large", f"the address gives more than {limit / 1e6:g} MB, the limit here")
        stated = _header(answer, b"content-length")
        if stated.isdigit() and int(stated) > limit:
            raise too_large
        written = 0
        with path.open("wb") as file:
            async for piece in answer.aiter_stream():
                written += len(piece)
                if written > limit:
                    raise too_large
                await asyncio.to_thread(file.write, piece)
        return written


def _header(answer: httpcore.Response, wanted: bytes) -> bytes:
    """A header of the answer, whose names are in any case; empty without it."""
    return next((value for name, value in answer.headers if name.lower() == wanted), b"")


def _checked(url: str) -> None:
    """Raise Refusal unless ``url`` is an http or https address of a host, without a name and password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise Refusal("failed_download", f"{url[:200]!r} is no http or https address")
    if "@" in urlsplit(url).netloc:
        raise Refusal("failed_download", "an address with a name and password in it is not read")
