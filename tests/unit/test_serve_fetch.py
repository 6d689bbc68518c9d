"""Addresses that requests name: which are read, and how far they are followed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpcore", reason="the extra [serve] is not installed")

from streamseg.serve.fetch import Fetcher, is_public
from streamseg.serve.refusals import Refusal


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe"])
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


@contextlib.contextmanager
def site(answer: Callable[[Any], None]) -> Iterator[str]:
    """A web server of this machine that answers each GET and POST by ``answer(handler)``."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: Any, data: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def fetched(url: str, path: Path, limit: int = 1000, **settings: Any) -> bytes:
    fetcher = Fetcher(**{"on": True, "allowed": lambda address: True, **settings})
    assert asyncio.run(fetcher.to_file(url, path, limit)) == path.stat().st_size
    return path.read_bytes()


def test_a_file_is_written(tmp_path: Path) -> None:
    with site(lambda handler: send(handler, b"hello")) as address:
        assert fetched(f"{address}/a.png", tmp_path / "a") == b"hello"


def test_by_default_no_address_is_read(tmp_path: Path) -> None:
    with site(lambda handler: send(handler, b"hello")) as address, pytest.raises(Refusal, match="--urls"):
        fetched(address, tmp_path / "a", on=False)


def test_this_machine_is_not_read(tmp_path: Path) -> None:
    asked = []
    with site(asked.append) as address, pytest.raises(Refusal, match="private network"):
        fetched(address, tmp_path / "a", allowed=is_public)
    assert asked == []


def test_a_redirect_to_a_private_address_is_not_followed(tmp_path: Path) -> None:
    """localhost plays the public address; the same server under 127.0.0.2 the private one."""
    asked = []

    def answer(handler: Any) -> None:
        asked.append(handler.headers["Host"])
        send(handler, b"", 302, Location=f"http://127.0.0.2:{handler.server.server_port}/secret")

    with site(answer) as address, pytest.raises(Refusal, match=r"'127\.0\.0\.2' is an address of a private network"):
        fetched(address, tmp_path / "a", allowed=lambda found: found == "127.0.0.1")
    assert len(asked) == 1


def test_a_name_with_one_private_address_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def resolved(self: Any, host: str, port: int, **settings: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolved)
    with pytest.raises(Refusal, match="private network"):
        fetched("http://rebinding.example/", tmp_path / "a", allowed=is_public)
    assert asked == ["rebinding.example"]


def test_the_name_is_resolved_once_and_that_address_is_connected_to(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that gives another address at the second question gets no second question."""
    answers = iter(["127.0.0.1", "10.0.0.1"])

    with site(lambda handler: send(handler, handler.headers["Host"].encode())) as address:
        port = int(address.rpartition(":")[2])
        real = asyncio.BaseEventLoop.getaddrinfo

        async def resolved(self: Any, host: str, wanted: Any, **settings: Any) -> Any:
            if host == "rebinding.example":
                return [(2, 1, 6, "", (next(answers), port))]
            return await real(self, host, wanted, **settings)

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolved)
        data = fetched(f"http://rebinding.example:{port}/", tmp_path / "a", allowed=lambda found: found == "127.0.0.1")
    assert data == f"rebinding.example:{port}".encode()
    assert next(answers) == "10.0.0.1"


def test_redirects_are_followed_a_few_times(tmp_path: Path) -> None:
    def answer(handler: Any) -> None:
        number = int(handler.path.strip("/") or 0)
        send(handler, b"end" if number == 3 else b"", 200 if number == 3 else 301, Location=f"/{number + 1}")

    with site(answer) as address:
        assert fetched(address, tmp_path / "a") == b"end"

    def for_ever(handler: Any) -> None:
        send(handler, b"", 302, Location="/again")

    with site(for_ever) as address, pytest.raises(Refusal, match="leads on"):
        fetched(address, tmp_path / "a")


def test_what_says_it_is_too_large_is_not_read(tmp_path: Path) -> None:
    with site(lambda handler: send(handler, b"x" * 2000)) as address, pytest.raises(Refusal) as refused:
        fetched(address, tmp_path / "a")
    assert refused.value.code == "too_large"


def test_what_goes_on_beyond_the_limit_is_cut_off(tmp_path: Path) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()  # no length: until the connection is closed
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                handler.wfile.write(b"x" * 1000)

    with site(answer) as address, pytest.raises(Refusal) as refused:
        fetched(address, tmp_path / "a")
    assert refused.value.code == "too_large"


def test_an_address_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    done = threading.Event()
    with site(lambda handler: done.wait(20) and None) as address:
        with pytest.raises(Refusal, match=r"within 0\.3 s"):
            fetched(address, tmp_path / "a", seconds=0.3)
        done.set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "gopher://example.org", "/etc/passwd",
                                 "http://", "http:///a", "http://user:pass@example.org/a", "http://example.org:99999/",
                                 "http://exa mple.org/", "http://example.org/\r\nX: y", "unix:/run/x", "", "\0"])
def test_what_is_no_web_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refusal) as refused:
        fetched(url, tmp_path / "a")
    assert refused.value.code == "failed_download"


@pytest.mark.parametrize("status", [204, 403, 404, 500])
def test_another_status_is_a_failure(tmp_path: Path, status: int) -> None:
    with site(lambda handler: send(handler, b"", status)) as address, pytest.raises(Refusal, match=str(status)):
        fetched(address, tmp_path / "a")
