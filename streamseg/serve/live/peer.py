"""WebRTC by aiortc: the browser's camera in, the finished picture out, settings and figures on a data channel.

Frames are encoded here and handed to aiortc as packets: its own VP8 encoder stops at 1.5 Mb/s, and its bounds
are constants of the module. VP8 alone is negotiated, so that colours are the same in every browser (media.py).
No STUN server is asked: aiortc would ask Google's by default.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aioice.ice
import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from pydantic import ValidationError

from ..refusals import Refusal, values_told
from .low_delay import lower_delay
from .media import Vp8Encoder, camera_info
from .sessions import Camera, Cameras, CameraSettings, Settings

LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0   # that a browser may take to connect
CODECS = ("video/vp8", "video/rtx")
LOST = ("failed", "closed")


class ResultTrack(MediaStreamTrack):
    """The finished pictures of one camera, as packets of VP8."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.camera: asyncio.Future[Camera] = asyncio.get_running_loop().create_future()

    async def recv(self) -> av.Packet:
        """The newest packet. Raises MediaStreamError after the last."""
        packet = await (await asyncio.shield(self.camera)).packet()
        if packet is None:
            self.stop()
            raise MediaStreamError
        return packet


class Peer:
    """One browser that is connected by WebRTC. ``open`` answers its offer."""

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._track = ResultTrack()
        self._camera: Camera | None = None
        self._channel: Any = None

    async def open(self, settings: CameraSettings, sdp: str) -> tuple[Camera, str]:
        """The camera and the answer's SDP.

        Raises Refusal (busy; unsupported where this machine has no address that WebRTC could use, or the offer is
        none), StreamsegError.
        """
        if not aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True):
            raise Refusal("unsupported", "the server has no network address that WebRTC can use: choose "
                          "WebSocket as the way")
        try:
            await self._take(sdp)
            info = camera_info(settings.width, settings.height, settings.rate, full_range=False)
            self._encoder = Vp8Encoder(info)
            self._camera = await self._cameras.open(info, settings, self._encoder, self._tell)
            self._track.camera.set_result(self._camera)
            answer = await self._answer(sdp)
        except BaseException:
            await self.close()
            raise
        self._cameras.keep(asyncio.create_task(self._watch(self._camera)))
        return self._camera, answer

    async def _take(self, sdp: str) -> None:
        """Take the offer in, before anything is loaded for it. Raises Refusal (unsupported)."""
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._on_channel)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        except Exception as error:  # whatever aiortc raises for what is no offer
            raise Refusal("unsupported", f"the offer cannot be read: {error or type(error).__name__}") from error
        if [item.kind for item in self._peer.getTransceivers()] != ["video"]:
            raise Refusal("unsupported", "the offer has not exactly one video track: offer the camera alone")

    async def _answer(self, offer: str) -> str:
        peer = self._peer
        try:
            peer.addTrack(self._track)
            known = RTCRtpReceiver.getCapabilities("video")
            codecs = [codec for codec in (known.codecs if known else ()) if codec.mimeType.lower() in CODECS]
            for transceiver in peer.getTransceivers():
                transceiver.setCodecPreferences(codecs)
                lower_delay(transceiver, offer)
            await peer.setLocalDescription(await peer.createAnswer())
        except Exception as error:  # no common codec, for one
            raise Refusal("unsupported", f"the offer cannot be answered: {error or type(error).__name__}") from error
        return str(peer.localDescription.sdp)

    async def _watch(self, camera: Camera) -> None:
        """End the camera when the browser goes, and the connection when the camera ends."""
        lost = asyncio.Event()
        connected = asyncio.Event()

        def on_state() -> None:
            if self._peer.connectionState == "connected":
                connected.set()
            if self._peer.connectionState in LOST:
                connected.set()
                lost.set()

        self._peer.on("connectionstatechange", on_state)
        on_state()
        try:
            await asyncio.wait_for(connected.wait(), CONNECT_SECONDS)
            ends = [asyncio.create_task(lost.wait()), asyncio.create_task(camera.ended.wait())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        except TimeoutError:
            LOG.warning("a browser did not connect within %g s", CONNECT_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """End the camera and the connection; may be called twice."""
        if self._camera is not None:
            self._camera.end()
        elif not self._track.camera.done():
            self._track.camera.cancel()
        await self._peer.close()

    # --- what the browser sends ---

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._cameras.keep(asyncio.create_task(self._pump(track)))

    async def _pump(self, track: MediaStreamTrack) -> None:
        """Take every picture at once, so that none waits in aiortc: what is too many gives way in the source."""
        camera = await asyncio.shield(self._track.camera)
        try:
            while True:
                picture = await track.recv()
                if isinstance(picture, av.VideoFrame):
                    camera.source.put(picture)
        except MediaStreamError:
            camera.end()

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.on("message", self._on_message)

    def _on_message(self, text: Any) -> None:
        assert self._camera is not None
        try:
            message = json.loads(text)
            if isinstance(message, dict) and message.pop("keyframe", False):
                self._encoder.key = True
            self._camera.set(Settings.model_validate(message))
        except ValidationError as error:
            told = values_told(error.errors(), Settings.model_fields)
            self._tell({"note": f"These settings cannot be used: {told}"})
        except ValueError as error:
            self._tell({"note": f"These settings cannot be used: {error}"})

    def _tell(self, message: dict[str, Any]) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(json.dumps(message))
