"""A video output, a file or standard output: encodes pictures, copies other tracks, verifies, renames."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
from av.stream import Disposition

from ..core.frames import Frame, VideoInfo
from ..core.pixel_formats import FORMATS
from ..errors import SinkError
from ..options import OutputOptions
from .animation import GIF_DELAY, last_until
from .base import BaseSink
from .capability import keeps_alpha
from .coding import untold
from .commit import Placement, checked_target, partial_name, temporary_file, writing
from .constant_rate import ConstantRate, at_required_rate, lead, required_rate
from .containers import CHAPTERS, NUT_RAW, PIPED, Y4M, ContainerFormat, container_of, extension, for_film, no_alpha
from .encoder import Settings, open_encoder, settings_for
from .muxing import OutputPipe, marks_options, muxer_options, pad_short_stream
from .palette import Palette
from .pixels import CAPTIONED, picture_for
from .spatial import encoding_stream, not_kept
from .tracks import Tracks
from .verify import Written, lost_tags, verify

# Tags that describe the input file, not its content
FILE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "DURATION")


class VideoSink(BaseSink):
    """Writes ``target`` by way of a temporary file. See ``open_sink`` for what is written how.

    ``frames``: pictures written so far. ``path`` is None for standard output.
    """

    def __init__(self, target: str, info: VideoInfo, kind: str, options: OutputOptions) -> None:
        super().__init__()
        self.target, self.kind = target, kind
        self._written_kind = kind  # what the written pictures are: packed cut-outs are opaque
        self.frames = 0
        self.waits_for_reader = target == "-"
        self._info, self._options = info, options
        self._format = _pipe_format(info, kind, options) if target == "-" else for_film(container_of(target), info)
        if kind == "cutout" and self._format.alpha is None:
            raise no_alpha(target)
        self._called = extension(target) or {"yuv4mpegpipe": "Y4M", "nut": "NUT"}.get(self._format.muxer, "Matroska")
        self._required = required_rate(target, self._called, self._format, info, kind, options)
        self._settings(_pixels(info, kind), info.colour, (info.width, info.height), info.time_base,
                       self.notes).try_out(target)
        self.path = None if target == "-" else checked_target(target, options.overwrite)
        self.growing = temporary_file(self.path) if self.path else None
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._context: Any = None  # the encoder, where it is not the stream's own
        self._encoder: Settings | None = None
        self._tracks: Tracks | None = None
        self._palette: Palette | None = None
        self._constant_rate = ConstantRate(options.cfr) if options.cfr else None
        self._shape: str | None = None  # of the first frame
        self._first, self._moved = Fraction(0), 0  # its time; ticks of a constant rate that are taken off
        self._span: tuple[Fraction, Fraction] | None = None  # the first and the last frame's time
        self._last_duration = Fraction(0)  # the last one's duration
        self._too_fast = 0  # frames that come too soon after the one before for a GIF
        self._transparent = self._lost_profile = self._lost_captions = False
        self._finished = self._done = self._stopping = False

    def write(self, frame: Frame) -> None:
        """Encode one frame and mux the packets that came with it. Raises SinkError."""
        if self._done or self._finished:
            raise SinkError(f"{self.target}: closed already, frame {frame.index} comes too late")
        with writing(self.target, self.path and self.path.parent, self._remedy):
            frame = self._timed(frame)
            if self._shape is None:
                self._start(frame)
            self._check_frame(frame)
            if frame.profile and self._written_kind != "matte" and not self._lost_profile:
                self._lost_profile = True
                self.notes.append("the pictures' colour profile (ICC) is lost: a film holds none; where it "
                                  "is sRGB's, that changes nothing")
            frame = self._with_captions(frame)
            if self._tracks is not None:
                self._tracks.put(frame.packets)
            for placed in self._constant_rate.place(frame) if self._constant_rate else [frame]:
                self._encode(placed)

    def finish(self) -> None:
        """Write what is held back and verify the file. Raises SinkError, and then nothing is left."""
        if self._done or self._finished:
            return
        if self._shape is None:
            self.abort()
            raise SinkError(f"{self.target}: no frames came, so there is nothing to write")
        try:
            with writing(self.target, self.path and self.path.parent, self._remedy):
                self._finish()
                if self.growing is not None and self._span is not None and self._last_duration:
                    last_until(self.growing, self._format.muxer, self._span[1] + self._last_duration - self._span[0])
            if self.growing is not None:
                pad_short_stream(self.growing, self._format)
                verify(self.growing, self._format.muxer, self._written(), self.target, lambda: self._stopping)
                self.size = self.growing.stat().st_size
                if self._written_kind in ("composite", "cutout"):
                    self.notes += lost_tags(self.growing, self._format.muxer, self._info)
        except BaseException:
            self.abort()
            raise
        self._shut()
        self._finished = True

    def _remedy(self) -> str:
        if self._tracks is None:
            return ""
        return ("; where its sound or subtitles are the cause, --no-audio leaves them out, and .mkv holds nearly "
                "everything")

    def stop(self) -> None:
        """Let ``finish`` break off while it reads the file back."""
        self._stopping = True

    def placements(self) -> Sequence[Placement]:
        """The finished file."""
        if not self._finished or self._done or self.path is None or self.growing is None:
            return ()
        return [Placement(self.growing, self.path, self.target, self._options.overwrite)]

    def settle(self) -> None:
        """Complete the notes."""
        if not self._done:
            self._done = True
            self._remarks()

    def abort(self) -> None:
        """Remove the temporary file, or give it its readable name if it is to be kept. Never raises."""
        if self._done:
            return
        self._done = True
        with contextlib.suppress(Exception):
            if self._options.keep_partial and self._container is not None:
                self._finish()
        self._shut()
        if self.growing is None or self.path is None:
            return
        with contextlib.suppress(OSError):
            if self._options.keep_partial and self.frames:
                kept = self.growing.replace(partial_name(self.path))
                self.kept = kept
            else:
                self.growing.unlink(missing_ok=True)

    def _settings(self, pixels: str, colour: Any, size: tuple[int, int], time_base: Fraction,
                  notes: list[str]) -> Settings:
        if self._required is not None:
            time_base = 1 / self._required.rate
        elif self._format.muxer == "gif":
            time_base = Fraction(1, 100)
        elif self._format.muxer == "webp":
            time_base = Fraction(1, 1000)
        info = replace(self._info, rate=self._required.rate) if self._required else self._info
        made, remarks = settings_for(self.target, self._format, info, self._written_kind, self._options,
                                     pixels=pixels, colour=colour, size=size, time_base=time_base)
        if self._format.muxer == "gif":
            one_bit = "; its alpha is 1 bit: half and more is opaque" if self._written_kind == "cutout" else ""
            remarks.append("GIF holds times in hundredths of a second and 256 colours a picture" + one_bit)
        if self._format.muxer in ("gif", "webp"):
            remarks += untold(colour, f".{self._format.muxer}")
        notes += [remark for remark in remarks if remark not in notes]
        return made

    def _start(self, frame: Frame) -> None:
        """Open the encoder for the format of the first frame, add the tracks, write the header."""
        size = (frame.width, frame.height)
        settings = self._settings(frame.format, frame.colour, size, frame.time_base, self.notes)
        file: Any = str(self.growing) if self.growing else OutputPipe(sys.stdout.buffer)
        muxer = muxer_options(self._format, self._options, frame.time or Fraction(0), self._info.plays)
        container = av.open(file, "w", format=self._format.muxer,
                            container_options=muxer | marks_options(self._format, self._info, muxer))
        self._container = container
        self._stream = self._encoding_stream(container, settings)
        self._encoder = settings
        container.metadata.update({key: value for key, value in self._info.metadata.items()
                                   if key not in FILE_TAGS})
        if self._carries_tracks():
            self._tracks = Tracks(container, self._format, self._info, self._options, self.notes)
        if self._info.chapters and self._format.muxer in CHAPTERS:
            container.set_chapters(cast(Any, list(self._info.chapters)))
        elif self._info.chapters and self._written_kind in ("composite", "cutout"):
            self.notes.append(f"the chapters ({len(self._info.chapters)}) are left out: {self._called} holds "
                              "none; .mkv, .mp4, .mov and .webm do")
        if self._context is None:  # else it is open: its header was wanted before
            open_encoder(self._stream.codec_context)
        container.start_encoding()
        self._begin(frame)
        self._shape = f"{frame.width}x{frame.height} {frame.format}"

    def _encoding_stream(self, container: av.container.OutputContainer, settings: Settings) -> av.VideoStream:
        """The stream of the pictures, with the marks that belong to them."""
        codec, spatial = av.Codec(settings.codec, "w").canonical_name, self._info.spatial
        self.notes += not_kept(spatial, self._format.muxer, codec)
        made = encoding_stream(container, settings, self._format, spatial) if spatial is not None else None
        if made is not None:
            self._context, stream = made
        else:
            stream = container.add_stream(settings.codec, rate=settings.rate, hwaccel=settings.device())
            settings.apply(cast(av.VideoStream, stream).codec_context)
            stream.time_base = settings.time_base
        stream.disposition = Disposition.default  # beside a sound track that is, as FFmpeg's program has it
        if self._written_kind != "matte":
            stream.metadata.update(self._info.labels)
        return cast(av.VideoStream, stream)

    def _begin(self, frame: Frame) -> None:
        """The time at which the constant rate begins. In a container without times the first track begins at 0, and
        the others keep their distance: AVI would repeat the first picture for a start offset, but not the sound."""
        assert frame.time is not None
        self._first = zero = frame.time
        if self._format.timed or self._required is None:
            return
        if self._tracks is not None:
            self._tracks.zero = zero = min([zero, *self._tracks.times(frame.packets)])
        rate = self._required.rate
        self._moved = round(self._first * rate) - lead(self._first - zero, rate)

    def _carries_tracks(self) -> bool:
        requested = self._options.audio and self._written_kind in ("composite", "cutout") and bool(self._info.tracks)
        if requested and self._format.audio is None:
            self.notes.append(f"{self._called} holds no sound and no subtitles")
            return False
        return requested

    def _with_captions(self, frame: Frame) -> Frame:
        """The frame without its captions where they do not belong; a note where they are lost."""
        if frame.captions is None or self._encoder is None:
            return frame
        if self._written_kind not in ("composite", "cutout"):
            return replace(frame, captions=None)
        if self._encoder.codec not in CAPTIONED and not self._lost_captions:
            self._lost_captions = True
            self.notes.append("the closed captions' track inside the pictures (A/53) is left out: "
                              f"{', '.join(CAPTIONED[:3])} keep it")
        return frame

    def _check_frame(self, frame: Frame) -> None:
        shape = f"{frame.width}x{frame.height} {frame.format}"
        if shape != self._shape:
            called = f"{frame.index} ({frame.name})" if frame.name else str(frame.index)
            raise SinkError(f"{self.target}: frame {called} is {shape}, the first was {self._shape}; one "
                            "video holds one size and pixel format: write into a folder/, or give numbered "
                            "pictures as a sequence, frame_%05d.png, which makes all as the first is")

    def _timed(self, frame: Frame) -> Frame:
        """Every frame gets a time: without one, its number at the input's rate."""
        if frame.pts is None:
            rate = self._info.rate or Fraction(25)
            frame = replace(frame, pts=round(frame.index / rate / frame.time_base))
        return frame

    def _encode(self, frame: Frame) -> None:
        assert self._encoder is not None
        if self._required is not None and self._constant_rate is None:
            frame = at_required_rate(frame, self._required, self._first)
        if self._moved and frame.pts is not None:
            frame = replace(frame, pts=frame.pts - self._moved)
        settings = self._encoder
        assert frame.time is not None
        if frame.time_base != settings.time_base:
            duration = (frame.duration or 0) * frame.time_base / settings.time_base
            frame = replace(frame, pts=round(frame.time / settings.time_base), time_base=settings.time_base,
                            duration=round(duration) or None)
        self._order(frame)
        if self._written_kind == "cutout" and not self._transparent and frame.alpha is not None:
            self._transparent = self.frames == 0 and bool((frame.alpha < frame.pixel.peak // 2).any())
        if settings.codec == "gif":
            rgba = picture_for(frame, replace(settings, pix_fmt="rgba"), self._written_kind == "cutout")
            self._palette = self._palette or Palette(rgba, self._written_kind == "cutout")
            self._mux_all(self._palette.put(rgba))
        else:
            self._mux_all([picture_for(frame, settings, self._written_kind == "cutout")])
        self.frames += 1

    def _order(self, frame: Frame) -> None:
        assert frame.time is not None
        if self._span is not None and frame.time <= self._span[1]:
            raise SinkError(f"{self.target}: frame {frame.index} at {float(frame.time):.3f} s does not come "
                            f"after the one before it, at {float(self._span[1]):.3f} s; --cfr RATE puts "
                            "frames onto a constant rate")
        if self._format.muxer == "gif" and self._span is not None:
            self._too_fast += frame.time - self._span[1] < GIF_DELAY
        self._span = (self._span[0] if self._span else frame.time, frame.time)
        self._last_duration = (frame.duration or 0) * frame.time_base

    def _mux_all(self, pictures: list[Any]) -> None:
        assert self._container is not None
        assert self._stream is not None
        for picture in pictures:
            for packet in (self._context or self._stream).encode(picture):
                if self.frames <= 2 and self._encoder is not None and self._encoder.codec == "libx265":
                    packet.dts = packet.pts  # of so few it gives any number; they come in their order
                packet.stream = self._stream
                self._container.mux_one(packet)

    def _finish(self) -> None:
        """Write what is still held back, then the trailer."""
        if self._constant_rate is not None:
            for frame in self._constant_rate.rest():
                self._encode(frame)
        if self._palette is not None:
            self._mux_all(self._palette.put(None))
        self._mux_all([None])
        if self._tracks is not None:
            self._tracks.close()
        assert self._container is not None
        self._container.close()
        if self.target == "-":
            sys.stdout.buffer.flush()

    def _shut(self) -> None:
        """Close the file in any state; FFmpeg's trailer may fail then."""
        if self._container is not None:
            with contextlib.suppress(Exception):
                self._container.close()
        self._container = self._stream = self._tracks = self._palette = self._context = None

    def _written(self) -> Written:
        assert self._encoder is not None
        assert self._span is not None
        return Written(self.frames, self._encoder.width, self._encoder.height, self._span[1] - self._span[0],
                       self._written_kind == "cutout", self._transparent)

    def _remarks(self) -> None:
        if self._too_fast:
            self.notes.append(f"{self._too_fast} of {self.frames} pictures are shown for 1/100 s, which players "
                              "take for 1/10: the GIF plays slowly; --cfr 50 or 25 plays right")
        if self._constant_rate is not None and (self._constant_rate.repeated or self._constant_rate.left_out):
            self.notes.append(f"at a constant {float(self._constant_rate.rate):g} frames a second: "
                              f"{self._constant_rate.repeated} repeated, {self._constant_rate.left_out} left out")


def _pixels(info: VideoInfo, kind: str) -> str:
    """The pixel format that frames of ``kind`` will have."""
    if kind != "matte":
        return info.format
    depth = FORMATS[info.format].depth
    return "gray" if depth == 8 else f"gray{depth}le"


def _pipe_format(info: VideoInfo, kind: str, options: OutputOptions) -> ContainerFormat:
    """Y4M where it suffices: 8-bit opaque YUV or grey at a constant rate, not encoded; else NUT, or Matroska for an
    encoder whose alpha NUT drops."""
    if options.codec is not None and kind != "matte":
        dropped = kind == "cutout" and not keeps_alpha("nut", options.codec) and keeps_alpha("matroska", options.codec)
        return PIPED if dropped else NUT_RAW
    plain = FORMATS[info.format].depth == 8 and not FORMATS[info.format].rgb and kind != "cutout"
    constant = options.cfr is not None or (not info.variable_rate and info.rate is not None)
    return Y4M if plain and constant else NUT_RAW
