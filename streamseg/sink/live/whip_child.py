"""The process that sends packets to a WHIP server; it is run by its path and loads PyAV alone.

PyAV holds the interpreter's lock while FFmpeg opens a connection and closes it (av 18.1.0: avformat_write_header,
av_write_trailer): in the process of the call every picture would wait for the server, Ctrl-C too.

Standard input: a line of JSON (Job), as many bytes of NUT that describe the streams as it says, then records. Standard
output: a line of JSON, {"ready": true} once pictures may come, {"failed": TEXT} when it ends with an error.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import struct
import sys
from fractions import Fraction
from typing import Any, BinaryIO

import av

# stream, whether a key frame, pts, dts, duration, time base (two numbers), bytes that follow
RECORD = struct.Struct(">B?qqqIII")
END_SECONDS = 3.0  # what the connection gets to close in


def main() -> None:
    """Send what comes until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever writes to us, who then ends the input
    try:
        _send(sys.stdin.buffer)
    except (av.FFmpegError, ValueError) as error:
        _say(failed=str(getattr(error, "strerror", None) or error))


def _send(given: BinaryIO) -> None:
    job = json.loads(given.readline())
    # the watchdog needs no Python: it ends this process even while FFmpeg has the lock
    faulthandler.dump_traceback_later(job["seconds"], exit=True)
    with av.open(io.BytesIO(given.read(job["header"])), format="nut") as known, \
            av.open(job["url"], "w", format="whip", container_options=job["options"]) as out:
        streams = [out.add_stream_from_template(stream, opaque=True) for stream in known.streams]
        out.start_encoding()
        faulthandler.cancel_dump_traceback_later()
        _say(ready=True)
        while head := given.read(RECORD.size):
            out.mux_one(_packet(head, given, streams))
        faulthandler.dump_traceback_later(END_SECONDS, exit=True)
    faulthandler.cancel_dump_traceback_later()


def _packet(head: bytes, given: BinaryIO, streams: list[Any]) -> av.Packet:
    number, key, pts, dts, duration, over, under, size = RECORD.unpack(head)
    packet = av.Packet(given.read(size))
    packet.stream, packet.is_keyframe = streams[number], key
    packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, duration, Fraction(over, under)
    return packet


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # nobody listens any more
        os._exit(1)
