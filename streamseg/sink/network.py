"""A stream to an address: RTMP, RTSP, SRT, UDP."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import OptionError
from ..frames import VideoInfo
from ..options import Options
from .containers import Container
from .recording import LiveEncoder, LiveSink, Sound

BOXES = {
    "rtmp": Container("flv", "libx264", audio="aac"),
    "rtmps": Container("flv", "libx264", audio="aac"),
    "rtsp": Container("rtsp", "libx264", audio="aac"),
    "rtsps": Container("rtsp", "libx264", audio="aac"),
    "srt": Container("mpegts", "libx264", audio="aac"),
    "udp": Container("mpegts", "libx264", audio="aac"),
}
MUXER = {
    "flv": {"flvflags": "no_duration_filesize"},  # a stream cannot be gone back in to write them
    "rtsp": {"rtsp_transport": "tcp"},
    "mpegts": {"flush_packets": "1"},
}


class NetworkSink(LiveSink):
    """Streams to ``url``. Raises OptionError for another kind of address, SinkError when it cannot be
    reached or breaks off."""

    def __init__(self, url: str, info: VideoInfo, options: Options, *, sound: Sound | None = None) -> None:
        kind = urlsplit(url).scheme.lower()
        if kind not in BOXES:
            raise OptionError(f"output {url!r}: streams go to {', '.join(f'{name}://' for name in BOXES)}")
        self.shown = f"{kind}://{urlsplit(url).netloc.rpartition('@')[2]}"  # the rest may hold a stream key
        box = BOXES[kind]
        self._encoder = LiveEncoder(url, self.shown, box, info, options, muxer=MUXER[box.format], sound=sound)
        self.notes = self._encoder.notes
