"""aiortc without two waits: each picture is decoded at its last packet, and the browser shows ours as they come.

aiortc 1.16 takes a picture for whole when the first packet of the next one arrives: one picture's duration late, 33 ms
at 30 a second. The last packet of a picture says that it is the last: RTP's marker bit (for VP8: RFC 7741, 4.1).

A browser holds pictures back so that they are shown at an even pace, by as much as they were late before; what it takes
for the network's unevenness is the time that the method takes. The header extension playout-delay, which Chromium and
those that share its WebRTC offer, tells it not to: http://www.webrtc.org/experiments/rtp-hdrext/playout-delay.

Both are private parts of aiortc: where a later version has them no longer, it works as it comes, and the log says so.
"""

from __future__ import annotations

import logging
from typing import Any

from aiortc import RTCRtpTransceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    HeaderExtensions,
    HeaderExtensionsMap,
    RtpPacket,
    pack_header_extensions,
    unpack_header_extensions,
)
from aiortc.sdp import SessionDescription

LOG = logging.getLogger(__name__)

PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
PACKETS = 512   # that may wait for one that is missing, as in aiortc


def lower_delay(transceiver: RTCRtpTransceiver, offer: str) -> None:
    """Take the two waits out of a transceiver of video that has taken in ``offer``, before it is answered."""
    _replace(transceiver.receiver, "jitter_buffer", PromptBuffer(PACKETS, is_video=True))
    offered = [item for media in SessionDescription.parse(offer).media if media.kind == "video"
               for item in media.rtp.headerExtensions if item.uri == PLAYOUT_DELAY]
    if offered and _replace(transceiver.sender, "rtp_header_extensions_map", PromptExtensions()):
        transceiver._headerExtensions.append(
            RTCRtpHeaderExtensionParameters(id=offered[0].id, uri=PLAYOUT_DELAY))


def _replace(owner: Any, name: str, part: Any) -> bool:
    """Put ``part`` in the place of a private part of ``owner``. -> whether it has one of that name"""
    private = f"_{type(owner).__name__}__{name}"
    if private not in vars(owner):
        LOG.warning("this version of aiortc has no %s: pictures of cameras come later than they could", private)
        return False
    setattr(owner, private, part)
    return True


class PromptBuffer(JitterBuffer):
    """Gives a picture at its last packet, or as aiortc does where no packet says that it is the last."""

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        self._pass_padding()
        packets: list[RtpPacket] = []
        for packet in self._in_order():
            if packets and packet.timestamp != packets[0].timestamp:
                return super()._remove_frame(sequence_number)
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                return JitterFrame(b"".join(_data(one) for one in packets), packet.timestamp)
        return None

    def _pass_padding(self) -> None:
        """Pass over packets without content. They come after a picture has ended, with its time: they would be a
        picture of no bytes, which to a decoder is the end."""
        for packet in list(self._in_order()):
            if _data(packet):
                return
            self.remove(1)

    def _in_order(self) -> Any:
        """The packets from the oldest on, up to the first that is missing."""
        assert self._origin is not None
        for count in range(self.capacity):
            packet = self._packets[(self._origin + count) % self.capacity]
            if packet is None:
                return
            yield packet


def _data(packet: RtpPacket) -> bytes:
    """What the receiver took out of a packet: its part of the picture."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data


class PromptExtensions(HeaderExtensionsMap):
    """Each packet of ours says that its picture is to be shown at once: a playout delay of 0 to 0."""

    def __init__(self) -> None:
        super().__init__()
        self._playout_delay: int | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        """Take over the numbers that were agreed."""
        super().configure(parameters)
        for item in parameters.headerExtensions:
            if item.uri == PLAYOUT_DELAY:
                self._playout_delay = item.id

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        """(profile, bytes) of a packet's header extensions."""
        profile, data = super().set(values)
        if self._playout_delay is None:
            return profile, data
        return pack_header_extensions([*unpack_header_extensions(profile, data), (self._playout_delay, bytes(3))])
