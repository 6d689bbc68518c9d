"""Cameras that are live now: each runs the live engine in a thread of its own until its browser goes."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import statistics
import tempfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import av
from pydantic import BaseModel, ConfigDict, Field

from ...core.clock import SystemClock
from ...core.frames import Frame, VideoInfo
from ...errors import OptionError, StreamsegError
from ...live.embedded import EmbeddedSession
from ...live.options import SHARED, LiveOptions
from ...live.shared_model import SharedModel
from ...live.stats import LiveOutput
from ...options import MethodOptions, Options
from ...sink import Sink
from ..refusals import Refusal
from .media import BrowserSource, Encoder, NewestFrame
from .virtual import VirtualCameras

LOG = logging.getLogger(__name__)

PICTURE_BYTES = 20_000_000       # of a background picture
PICTURE_PIXELS = 40_000_000
RECENT = 300                     # delays that the figures are of: ten seconds
COLOUR = r"^(blur|picture|#[0-9a-fA-F]{6})$"


class Settings(BaseModel):
    """What a page may change while the camera is live. ``background``: blur, #rrggbb, or picture, which is
    the one that was sent; never a path."""

    model_config = ConfigDict(extra="forbid")

    background: Annotated[str, Field(pattern=COLOUR)] | None = None
    blur: Annotated[float, Field(ge=0, le=1)] | None = None
    mirror: bool | None = None
    follow: bool | None = None


class CameraSettings(Settings):
    """What a page says of its camera at the start: its size in pixels and its pictures a second."""

    width: Annotated[int, Field(ge=16, le=8192)]
    height: Annotated[int, Field(ge=16, le=8192)]
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None


class Cameras:
    """All cameras of one server, which share one model. ``close`` ends them. ``virtual``: the virtual cameras that they
    may be shown on.

    method   how persons are found; threads, device and runtime with it
    most     cameras at once
    """

    def __init__(self, method: MethodOptions | None, most: int) -> None:
        method = method or MethodOptions()
        self.options = Options.of({item.name: getattr(method, item.name) for item in fields(MethodOptions)
                                   if item.name in SHARED})
        self.most = most
        self.virtual = VirtualCameras()
        self._live: dict[str, Camera] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self._threads = ThreadPoolExecutor(max(1, 4 * most), "serve-live")
        self._loading = asyncio.Lock()
        self._model: SharedModel | None = None  # loaded for the first camera

    def __getitem__(self, name: str) -> Camera:
        """The live camera of that name. Raises KeyError."""
        return self._live[name]

    def __contains__(self, name: str) -> bool:
        return name in self._live

    def __len__(self) -> int:
        return len(self._live)

    async def open(self, info: VideoInfo, settings: Settings, encoder: Encoder,
                   tell: Callable[[dict[str, Any]], None]) -> Camera:
        """A camera that waits for pictures. ``tell`` is given figures and the reason of its end, in the loop.

        Raises Refusal (busy), StreamsegError.
        """
        if not self.most:
            raise Refusal("busy", "this server takes no camera: it was started with --cameras 0")
        if len(self._live) >= self.most:
            raise Refusal("busy", f"cameras that are live: {self.most}, which is all that this server takes; stop one, "
                          "or start the server with a larger --cameras",
                          headers={"Retry-After": "30"})
        camera = Camera(secrets.token_urlsafe(12), info, encoder, tell, self._threads)
        self._live[camera.name] = camera  # before the first wait, so that none slips past the limit
        try:
            await camera.open(self.options, settings, self._gone, await self._shared())
        except BaseException:
            self._live.pop(camera.name, None)
            camera.discard()
            raise
        return camera

    async def _shared(self) -> SharedModel:
        """The model of all cameras. Raises StreamsegError."""
        async with self._loading:
            if self._model is None:
                loop = asyncio.get_running_loop()
                self._model = await loop.run_in_executor(self._threads, SharedModel, self.options)
            return self._model

    def keep(self, task: asyncio.Future[Any]) -> None:
        """Hold a task until it is done: the event loop itself holds none."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _gone(self, camera: Camera) -> None:
        self._live.pop(camera.name, None)

    async def close(self) -> None:
        """End all cameras and wait for their threads."""
        cameras = list(self._live.values())
        for camera in cameras:
            camera.end()
        await asyncio.gather(*(camera.ended.wait() for camera in cameras))
        if self._model is not None:
            self._model.close()
        self._threads.shutdown(wait=False)


class Camera:
    """One camera. ``source`` takes its pictures, ``packet`` gives the finished ones; ``ended`` is set when
    the engine has stopped. ``tell`` gives the page a message, in the loop."""

    def __init__(self, name: str, info: VideoInfo, encoder: Encoder, tell: Callable[[dict[str, Any]], None],
                 threads: ThreadPoolExecutor) -> None:
        self.name, self.info = name, info
        self.encoder = encoder
        self.ended = asyncio.Event()
        self.switching = asyncio.Lock()  # its virtual camera is switched by one request at a time
        self.tell, self._threads = tell, threads
        self._loop = asyncio.get_running_loop()
        self._result = NewestFrame(self._loop)
        self._clock = SystemClock()
        self._delays: deque[float] = deque(maxlen=RECENT)
        self._folder = Path(tempfile.mkdtemp(prefix="streamseg-live-"))

    async def open(self, options: Options, settings: Settings, gone: Callable[[Camera], None], model: SharedModel
                   ) -> None:
        """Begin, with a session of ``model``. Raises StreamsegError."""
        self.source = BrowserSource(self.info, options.timeout)
        given = settings.model_dump(exclude_none=True)
        shown: dict[str, Any] = {name: given[name] for name in ("mirror", "follow") if name in given}
        first = given.get("background", "blur")
        started = replace(options, background="blur" if first == "picture" else first,
                          blur=given.get("blur", options.blur))
        self._session = await self._loop.run_in_executor(
            self._threads, lambda: EmbeddedSession(self.source, self._result, options=started,
                                                   live=LiveOptions.of(shown), on_stats=self._on_stats,
                                                   clock=self._clock, shared=model))
        self._task = asyncio.create_task(self._work(gone))

    async def _work(self, gone: Callable[[Camera], None]) -> None:
        why = "The camera has ended."
        try:
            await self._loop.run_in_executor(self._threads, self._session.run)
        except StreamsegError as error:
            why = str(error)
        except Exception:
            LOG.exception("the live camera failed")
            why = "The server failed; its log says why."
        finally:
            self._result.close()
            gone(self)
            self.discard()
            self.ended.set()
            self.tell({"end": why})

    def end(self) -> None:
        """End soon; from the loop."""
        self.source.end()
        self._session.end()

    def discard(self) -> None:
        """Delete the background's pictures."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, name: str, sink: Sink) -> LiveOutput:
        """Write the finished pictures to one more sink too; it is closed with the camera at the latest."""
        return self._session.add(name, sink)

    def remove(self, output: LiveOutput) -> None:
        """Let an output that was added finish soon."""
        self._session.remove(output)

    def set(self, settings: Settings) -> None:
        """Take over what the page has changed."""
        changes = settings.model_dump(exclude_none=True)
        if changes.get("background") == "picture":
            changes.pop("background")
            if (picture := self._folder / "background").exists():
                changes["background"] = str(picture)
        if changes:
            self._session.show(**changes)

    async def set_picture(self, data: bytes) -> None:
        """Put a picture behind the person. Raises OptionError for what is none, or too large."""
        await self._loop.run_in_executor(self._threads, self._keep_picture, data)
        self._session.show(background=str(self._folder / "background"))

    def _keep_picture(self, data: bytes) -> None:
        new = self._folder / "new"
        new.write_bytes(data)
        try:
            with av.open(str(new)) as container:
                video = container.streams.video[0]
                pixels = video.width * video.height
        except (av.FFmpegError, IndexError) as error:
            new.unlink()
            raise OptionError("the background is no picture that can be read: send a JPEG or PNG") from error
        if pixels > PICTURE_PIXELS:
            new.unlink()
            raise OptionError(f"the background has {pixels / 1e6:.0f} megapixels; at most "
                              f"{PICTURE_PIXELS / 1e6:.0f} are taken")
        new.replace(self._folder / "background")

    async def packet(self) -> av.Packet | None:
        """The newest finished picture, encoded; None after the last."""
        while True:
            frame = await self._result.get()
            if frame is None:
                return None
            packet = await self._loop.run_in_executor(self._threads, self.encoder.encode, frame)
            self._note_delay(frame)
            if packet is not None:
                return packet

    def _note_delay(self, frame: Frame) -> None:
        self._delays.append(self._clock.now() - self._session.began - float(frame.time or 0))

    def _on_stats(self, line: dict[str, Any]) -> None:
        """The engine's figures of a second, with the delay until a picture is encoded."""
        delays = list(self._delays)
        percent: dict[str, float | None] = {"p50": None, "p95": None}
        if len(delays) > 1:
            cuts = statistics.quantiles(delays, n=20, method="inclusive")
            percent = {"p50": round(1e3 * cuts[9], 1), "p95": round(1e3 * cuts[18], 1)}
        told = {"fps": line["fps"], "latency_ms": percent, "dropped": line["dropped"], "step": line["step"],
                "width": self.info.width, "height": self.info.height}
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.tell, {"stats": told})
