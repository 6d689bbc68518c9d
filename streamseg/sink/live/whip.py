"""A WHIP server (RFC 9725): pictures and sound by WebRTC, with a delay of less than a second.

FFmpeg's muxer sends them, in a process of its own (whip_child.py says why). Its offer is taken from it on loopback and
posted from here: so errors are told in the server's words, certificates are verified, and FFmpeg never sees the token.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av

from ...core.frames import VideoInfo
from ...errors import MissingDependencyError, OptionError, SinkError
from ...options import OutputOptions
from ..containers import ContainerFormat
from . import whip_child
from .network import WHIP
from .recording import LiveEncoder, LiveSink, SoundFeed
from .whip_endpoint import SDP, WhipEndpoint, check_url

FORMAT = ContainerFormat("whip", "libx264", audio="libopus")
VALID_DAYS = 30        # of the certificate, which is made anew for each connection
CHUNK = 1 << 16
START_SECONDS = 30.0   # in which the child makes its offer, on a machine that is busy
END_SECONDS = 2.0      # that the child gets beyond its own time


class WhipSink(LiveSink):
    """Streams to the WHIP endpoint ``target``, as whip:https://host/path: H.264, and Opus where there is ``sound``.

    shown    what messages call it
    token    the bearer token, None for none
    timeout  seconds for each step of the connection

    Raises OptionError for another address or codec, MissingDependencyError without cryptography, SinkError when the
    server cannot be reached or refuses.
    """

    def __init__(self, target: str, shown: str, info: VideoInfo, options: OutputOptions, *, token: str | None = None,
                 timeout: float = 15.0, sound: SoundFeed | None = None) -> None:
        super().__init__()
        url = target.removeprefix(WHIP)
        check_url(url, shown)
        _refuse_codec(options.codec, shown)
        self.shown = shown
        endpoint = WhipEndpoint(url, shown, token, timeout)
        self._encoder = LiveEncoder(shown, shown, FORMAT, info, options, muxer={}, sound=sound,
                                    container=lambda: WhipMuxer(endpoint, shown, timeout))
        self.notes = self._encoder.notes


class WhipMuxer:
    """What LiveEncoder uses of an output container: packets go to a child that sends them.

    The streams are those of a NUT file in memory, of which only the beginning is used.
    """

    def __init__(self, endpoint: WhipEndpoint, shown: str, timeout: float) -> None:
        _refuse_frozen(shown)
        self._endpoint, self._shown, self._timeout = endpoint, shown, timeout
        self._header = io.BytesIO()
        self._streams: Any = av.open(self._header, "w", format="nut", container_options={"flush_packets": "1"})
        self._child: subprocess.Popen[bytes] | None = None

    def add_stream(self, *of: Any, **what: Any) -> Any:
        """As OutputContainer's."""
        return self._streams.add_stream(*of, **what)

    def start_encoding(self) -> None:
        """Connect. Raises SinkError."""
        self._streams.start_encoding()
        self._streams.mux([_empty(stream) for stream in self._streams.streams])
        until = time.monotonic() + START_SECONDS
        with tempfile.TemporaryDirectory(prefix="streamseg-whip-") as folder, \
                socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self._launch(f"http://127.0.0.1:{port}/", _certificate(Path(folder)))
            with self._connection(listener, until) as connection:
                answer = self._endpoint.offer(_offer(connection))
                connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Type: " + SDP.encode() + b"\r\nConnection: close"
                                   b"\r\nContent-Length: " + str(len(answer)).encode() + b"\r\n\r\n" + answer)
            if not self._heard().get("ready"):
                raise SinkError(f"{self._shown} answered, and then no connection came about: is a firewall in the "
                                "way of UDP?")

    def mux_one(self, packet: av.Packet) -> None:
        """Send a packet. Raises SinkError."""
        child, data = self._child, bytes(packet)
        assert child is not None
        assert child.stdin is not None
        assert packet.time_base is not None
        over, under = packet.time_base.numerator, packet.time_base.denominator
        pts = packet.pts or 0
        head = whip_child.RECORD.pack(packet.stream.index, packet.is_keyframe, pts,
                                      pts if packet.dts is None else packet.dts, packet.duration or 0, over, under,
                                      len(data))
        try:
            child.stdin.write(head + data)
            child.stdin.flush()
        except OSError as error:
            raise SinkError(f"{self._shown} has ended the connection: "
                            f"{self._heard().get('failed', 'it is lost')}") from error

    def mux(self, packets: Iterable[av.Packet]) -> None:
        """Send packets. Raises SinkError."""
        for packet in packets:
            self.mux_one(packet)

    def close(self) -> None:
        """End the session; may be called twice."""
        child, self._child = self._child, None
        if child is not None:
            for stream in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):  # what cannot be sent any more
                    stream.close()  # type: ignore[union-attr]
            try:
                child.wait(whip_child.END_SECONDS + END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._endpoint.end()
        self._streams.close()

    def _launch(self, url: str, keys: dict[str, str]) -> None:
        header = self._header.getvalue()
        self._child = subprocess.Popen([sys.executable, "-P", whip_child.__file__], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        # beyond the time of the offer and of the handshake, each of which has its own
        job = {"url": url, "seconds": START_SECONDS + 3 * self._timeout, "header": len(header),
               "options": keys | {"handshake_timeout": str(round(self._timeout * 1000))}}
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(job).encode() + b"\n" + header)
        self._child.stdin.flush()

    def _connection(self, listener: socket.socket, until: float) -> socket.socket:
        """The child's connection, over which its offer comes."""
        assert self._child is not None
        listener.settimeout(0.1)
        while self._child.poll() is None and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                connection = listener.accept()[0]
                connection.settimeout(self._timeout)
                return connection
        raise SinkError(f"{self._shown}: FFmpeg makes no offer: {self._heard().get('failed', 'it has ended')}")

    def _heard(self) -> dict[str, Any]:
        """What the child says next; nothing if it has ended."""
        assert self._child is not None
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        said: dict[str, Any] = json.loads(line) if line else {}
        return said


def _empty(stream: Any) -> av.Packet:
    """A packet that is sent nowhere: NUT without any cannot be read."""
    made = av.Packet(b"\0")
    made.stream, made.pts, made.dts, made.is_keyframe = stream, 0, 0, True
    made.time_base = stream.codec_context.time_base
    return made


def _offer(connection: socket.socket) -> bytes:
    """The body of the request that comes."""
    given = b""
    while b"\r\n\r\n" not in given and (piece := connection.recv(CHUNK)):
        given += piece
    head, _, body = given.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    size = int(fields.get(b"content-length", 0))
    while len(body) < size and (piece := connection.recv(CHUNK)):
        body += piece
    return body


def _certificate(folder: Path) -> dict[str, str]:
    """A certificate of our own, by which the server knows us again in DTLS: the offer has its fingerprint.
    -> FFmpeg's options"""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise MissingDependencyError("a WHIP stream needs cryptography: pip install 'streamseg[whip]'") from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "streamseg")])
    now = datetime.datetime.now(datetime.UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=VALID_DAYS)).sign(key, hashes.SHA256()))
    encoding = serialization.Encoding.PEM
    content = {"cert_file": made.public_bytes(encoding),
               "key_file": key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL,
                                             serialization.NoEncryption())}
    for option, text in content.items():
        (folder / option).write_bytes(text)
    return {option: os.fspath(folder / option) for option in content}


def _refuse_codec(name: str | None, shown: str) -> None:
    """Raise OptionError for what is not H.264; a codec that there is not is told of by who opens it."""
    with contextlib.suppress(av.codec.codec.UnknownCodecError):
        if name is not None and av.Codec(name, "w").canonical_name != "h264":
            raise OptionError(f"codec is {name!r}; {shown} takes H.264: libx264, or leave --codec out")


def _refuse_frozen(shown: str) -> None:
    if getattr(sys, "frozen", False):  # sys.executable is the program, and no Python
        raise SinkError(f"{shown}: WHIP needs Python itself, and not a program that was frozen")
