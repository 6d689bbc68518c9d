"""A network stream: RTMP, RTSP, SRT, UDP."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ...core.frames import VideoInfo
from ...errors import OptionError
from ...options import OutputOptions
from ..containers import ContainerFormat
from .recording import LiveEncoder, LiveSink, SoundFeed

WHIP = "whip:"  # before an address: it is for whip.py
PROTOCOLS = {
    "rtmp": ContainerFormat("flv", "libx264", audio="aac"),
    "rtmps": ContainerFormat("flv", "libx264", audio="aac"),
    "rtsp": ContainerFormat("rtsp", "libx264", audio="aac"),
    "rtsps": ContainerFormat("rtsp", "libx264", audio="aac"),
    "srt": ContainerFormat("mpegts", "libx264", audio="aac"),
    "udp": ContainerFormat("mpegts", "libx264", audio="aac"),
}
MUXER = {
    "flv": {"flvflags": "no_duration_filesize"},  # a stream cannot seek back to write them
    "rtsp": {"rtsp_transport": "tcp"},
    "mpegts": {"flush_packets": "1"},
}


class NetworkSink(LiveSink):
    """Streams to ``url``. Raises OptionError for another kind of address, SinkError when it cannot be
    reached or fails."""

    def __init__(self, url: str, info: VideoInfo, options: OutputOptions, *, sound: SoundFeed | None = None) -> None:
        super().__init__()
        kind = urlsplit(url).scheme.lower()
        if kind not in PROTOCOLS:
            raise OptionError(f"output {url!r}: streams go to {', '.join(f'{name}://' for name in PROTOCOLS)}")
        self.shown = shown(url)
        container_format = PROTOCOLS[kind]
        self._encoder = LiveEncoder(url, self.shown, container_format, info, options,
                                    muxer=MUXER[container_format.muxer], sound=sound)
        self.notes = self._encoder.notes


def shown(target: str) -> str:
    """An output's name for messages and statistics; of an address only scheme, host and port: user and path may be
    secret."""
    kind, address, rest = target.partition("://")
    return f"{kind}://{re.split('[/?#]', rest)[0].rpartition('@')[2]}" if address else target
