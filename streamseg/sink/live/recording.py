"""Encodes live pictures and sound into a file that plays even if it is cut off at any moment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, cast

import av

from ...core.frames import Frame, VideoInfo
from ...errors import OptionError, SinkError
from ...options import OutputOptions
from ..base import BaseSink
from ..commit import checked_target, temporary_file, writing
from ..containers import ContainerFormat, container_of, extension
from ..encoder import Settings, open_encoder, settings_for
from ..pixels import picture_for

# The tick of Matroska and FLV: two finer ticks could become one there.
TICKS = Fraction(1, 1000)
KEY_SECONDS = 1       # a key frame a second: at most one second is lost
# No frame is held back, and no CPU time is spent on lookahead: a video call needs it.
LIVE_CODEC = {"libx264": {"preset": "superfast", "tune": "zerolatency"}}
# Browsers and servers of WebRTC agree on no more of H.264 than this.
MUXER_CODEC = {"whip": {"profile": "baseline"}}
MUXER = {
    # a cluster a second at most, each packet to the disk at once
    "matroska": {"cluster_time_limit": "1000", "flush_packets": "1"},
    # delay_moov: written at once, the header could not say that the picture begins later than the sound
    "mp4": {"movflags": "+frag_keyframe+empty_moov+delay_moov+default_base_moof", "flush_packets": "1"},
}
SUFFIXES = (".mkv", ".mp4")
SOUND = {"libopus": (48000, "stereo")}  # as WebRTC has it; other codecs take the microphone's
SoundSupply = Callable[[], list[Any]]


@dataclass(frozen=True, slots=True)
class SoundFeed:
    """A microphone as an encoder needs it: ``rate`` in Hz, ``layout`` as 'mono', and ``take``, which gives
    the av.AudioFrames since its last call, with times in ``time_base`` from the same start as the frames'."""

    rate: int
    layout: str
    take: SoundSupply


class LiveEncoder:
    """Encodes frames and muxes them into ``place`` (a path or a URL) at once.

    Frames keep their own times; one that is not later than the one before is left out, because no
    container could hold it. ``frames``: pictures written. ``folder``: where a file lies, for what is said of
    a full disk. ``container`` opens another than FFmpeg's own for ``place``: an object with add_stream,
    start_encoding, mux_one, mux and close.
    """

    def __init__(self, place: str, shown: str, container_format: ContainerFormat, info: VideoInfo,
                 options: OutputOptions, *, muxer: dict[str, str], sound: SoundFeed | None = None,
                 folder: Path | None = None, container: Callable[[], Any] | None = None) -> None:
        self.frames = 0
        self.notes: list[str] = []
        self._writing = partial(writing, shown, folder)
        self._settings = self._live_settings(shown, container_format, info, options)
        self._settings.try_out(shown)
        self._last: int | None = None
        self._sound = sound
        with self._writing():
            self._container: Any = container() if container is not None else av.open(
                place, "w", format=container_format.muxer, container_options=muxer)
        try:
            with self._writing():
                self._streams(container_format)
        except BaseException:
            self.close()
            raise

    def _live_settings(self, shown: str, container_format: ContainerFormat, info: VideoInfo,
                       options: OutputOptions) -> Settings:
        settings, notes = settings_for(shown, container_format, info, "composite", options, pixels=info.format,
                                       colour=info.colour, size=(info.width, info.height), time_base=TICKS)
        self.notes += notes
        keys = str(max(1, round((info.rate or 30) * KEY_SECONDS)))
        live = LIVE_CODEC.get(settings.codec, {}) | MUXER_CODEC.get(container_format.muxer, {}) | {"g": keys}
        return replace(settings, options=settings.options | live | dict(options.codec_set))

    def _streams(self, container_format: ContainerFormat) -> None:
        settings = self._settings
        stream = self._container.add_stream(settings.codec, rate=settings.rate)
        self._video = cast(av.VideoStream, stream)
        settings.apply(self._video.codec_context)
        self._video.time_base = settings.time_base
        self._audio: Any = None
        if self._sound is not None:
            audio = container_format.audio or "aac"
            rate, layout = SOUND.get(audio, (self._sound.rate, self._sound.layout))
            self._audio = self._container.add_stream(audio, rate=rate, layout=layout)
        open_encoder(self._video.codec_context)
        self._container.start_encoding()
        if self._sound is not None:
            context = self._audio.codec_context
            self._resampler = av.AudioResampler(context.format, context.layout, context.sample_rate)

    def write(self, frame: Frame) -> None:
        """Encode and mux one frame, and the sound since the one before. Raises SinkError."""
        assert frame.time is not None
        with self._writing():
            self._hear()
            pts = round(frame.time / TICKS)
            if self._last is not None:  # frames that come in a bunch are a tick apart at least
                pts = max(pts, self._last + 1)
            self._last = pts
            # without an owner: other outputs may be encoding the same picture
            own = replace(frame, pts=pts, time_base=TICKS, duration=None, owner=None)
            for packet in self._video.encode(picture_for(own, self._settings, False)):
                self._container.mux_one(packet)
            self.frames += 1

    def _hear(self) -> None:
        if self._sound is None or self._audio is None:
            return
        for block in self._sound.take():
            for part in self._resampler.resample(block):
                self._container.mux(self._audio.encode(part))

    def close(self) -> None:
        """Write what is held back and the end. May be called twice. Raises SinkError."""
        container, self._container = self._container, None
        if container is None:
            return
        with self._writing(), contextlib.closing(container):
            if self.frames:
                for packet in self._video.encode(None):
                    container.mux_one(packet)
                if self._audio is not None:
                    container.mux(self._audio.encode(None))


class LiveSink(BaseSink):
    """A Sink over a LiveEncoder, which it has from the first frame on at the latest. What it has written is
    out: nothing is renamed at the end."""

    _encoder: LiveEncoder | None = None

    def write(self, frame: Frame) -> None:
        """Encode and send one frame."""
        assert self._encoder is not None
        self._encoder.write(frame)

    def finish(self) -> None:
        """Finish what was written."""
        if self._encoder is not None:
            self._encoder.close()

    def abort(self) -> None:
        """Finish as well as can be; may be called twice."""
        with contextlib.suppress(SinkError, av.error.FFmpegError):
            self.finish()


def check_extension(target: str) -> None:
    """Raise OptionError for a file that is no live recording's."""
    if extension(target) not in SUFFIXES:
        raise OptionError(f"output {target!r}: live recordings are {' or '.join(SUFFIXES)}, which play "
                          "even if the machine stops in the middle; `streamseg run` makes others of them")


class RecordingSink(LiveSink):
    """Records into ``target``, Matroska or fragmented MP4, under its own name from the first frame on: until
    then nothing is made there, and an existing file is not touched.

    After kill -9 it plays up to the last second. Raises OptionError for another extension, SinkError for a
    file that exists (without ``options.overwrite``) and for what goes wrong on the disk.
    """

    path: Path

    def __init__(self, target: str, info: VideoInfo, options: OutputOptions, *, sound: SoundFeed | None = None) -> None:
        super().__init__()
        check_extension(target)
        with writing(target):
            self.path = path = checked_target(target, options.overwrite)
            _check_writable(path)
        container_format = container_of(target)

        def encoder(place: str) -> LiveEncoder:
            return LiveEncoder(place, target, container_format, info, options, muxer=MUXER[container_format.muxer],
                               sound=sound, folder=path.parent)

        trial = encoder(os.devnull)  # an encoder or container that refuses is known before the first frame
        trial.close()
        self.notes = trial.notes
        self._target, self._mode, self._encoder_into = target, "wb" if options.overwrite else "xb", encoder
        self._made = False

    def write(self, frame: Frame) -> None:
        """Encode and write one frame; the first makes the file. Raises SinkError."""
        if self._encoder is None:
            self._encoder = self._begun()
        super().write(frame)

    def abort(self) -> None:
        """Finish the file as well as can be: what was recorded is kept, a file without a picture is not."""
        super().abort()
        if self._made and not _has_picture(self.path):
            self.path.unlink(missing_ok=True)

    def _begun(self) -> LiveEncoder:
        with writing(self._target, self.path.parent):
            self.path.open(self._mode).close()  # FFmpeg would replace a file that was created meanwhile
        self._made = True
        return self._encoder_into(str(self.path))


def _has_picture(path: Path) -> bool:
    """Whether a picture reached the disk: on a full disk there may be only a header."""
    with contextlib.suppress(OSError, av.error.FFmpegError), av.open(str(path)) as container:
        return any(packet.size for packet in container.demux(video=0))
    return False


def _check_writable(path: Path) -> None:
    """Raise an OSError or a SinkError where ``path`` cannot be written; nothing there changes."""
    if path.exists():
        path.open("ab").close()
    else:
        temporary_file(path).unlink()
