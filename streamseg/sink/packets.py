"""Copies of packets: a packet may go to several outputs, and muxing changes it."""

from __future__ import annotations

from typing import Any

import av


def copied(packet: av.Packet, stream: Any = None, payload: bytes | None = None) -> av.Packet:
    """A packet of its own with the data (or ``payload``), times, flags and side data of ``packet``, for
    ``stream`` if it is to be muxed."""
    data = bytes(packet) if payload is None else payload
    made = av.Packet(len(data))
    made.update(data)
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    if packet.time_base is not None:
        made.time_base = packet.time_base
    made.is_keyframe = packet.is_keyframe
    if payload is None:
        for item in packet.iter_sidedata():
            made.set_sidedata(item)
    if stream is not None:
        made.stream = stream
    return made
