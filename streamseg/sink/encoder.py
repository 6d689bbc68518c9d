"""Selects the video encoder and its settings from the container, the frames' format and the options."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
from av.codec.hwaccel import HWAccel

from ..core.frames import VideoInfo
from ..core.native_stderr import native_lines_hidden
from ..core.pixel_formats import Colour
from ..core.scheduling import scheduling_kept
from ..core.thread_budget import Threads
from ..errors import DeviceError, OptionError
from ..options import OutputOptions
from .commit import reason
from .containers import ASPECT, ODD_SIZES, SQUARE, ContainerFormat, EncoderInput, extension
from .hdr import with_mastering
from .layout import pixel_format, stored_colour
from .quality import rate_control

DEFAULTS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=error", "a53cc": "1"},
    # cpu-used 6 is libvpx's value for live video; alternate references would hide alpha frames
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "auto-alt-ref": "0",
                   "crf": "32", "b": "0"},
    "libsvtav1": {"preset": "10"},
    "ffv1": {"level": "3", "slicecrc": "1", "slices": "4"},
    # libwebp does not update pixels that change little; at its default, 75, slow motion leaves traces
    "libwebp_anim": {"quality": "90"},
}
HARDWARE = {"cuda": "nvenc", "vaapi": "vaapi", "qsv": "qsv", "videotoolbox": "videotoolbox", "amf": "amf"}
FAMILY = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "av1"}
_QSCALE_FLAG, _DURATION_FLAG = 1 << 1, 1 << 8


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an encoder. ``width`` and ``height`` are those of the written picture: one more than the
    frame's where the codec takes even sizes only."""

    codec: str
    pix_fmt: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    colour: Colour
    sample_aspect: Fraction
    threads: int
    options: dict[str, str] = field(default_factory=dict)
    bit_rate: int = 0
    quantiser: int = 0
    hwaccel: str | None = None
    tag: str | None = None  # of the codec in the container; None: FFmpeg's own

    def apply(self, context: av.VideoCodecContext) -> None:
        """Put the settings into a codec context that is not open yet."""
        if self.codec == "libsvtav1":  # else it prints its version and settings; read once, when it opens
            os.environ.setdefault("SVT_LOG", "1")
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        context.sample_aspect_ratio = self.sample_aspect
        context.colorspace, context.color_range = self.colour.matrix, self.colour.range
        context.color_primaries, context.color_trc = self.colour.primaries, self.colour.transfer
        context.thread_count = self.threads
        # PyAV's default, slices, makes libx264 cut each picture into slices: slower, and larger files
        context.thread_type = "AUTO"
        context.flags |= _DURATION_FLAG
        if self.bit_rate:
            context.bit_rate = self.bit_rate
        if self.quantiser:
            context.flags |= _QSCALE_FLAG
            context.global_quality = self.quantiser  # no lambda: ProRes takes 64 at most
        context.options = dict(self.options)
        if self.tag:
            context.codec_tag = self.tag

    def device(self) -> HWAccel | None:
        """The hardware device to open the encoder on; NVENC takes pictures from main memory itself."""
        return HWAccel(self.hwaccel) if self.hwaccel in ("vaapi", "qsv") else None

    def try_out(self, target: str) -> None:
        """Open the encoder once as a trial: what it refuses is known before anything is computed.

        Raises OptionError for options it does not know or values it does not take, DeviceError for
        hardware that is not there.
        """
        try:
            context = av.CodecContext.create(self.codec, "w", self.device())
            assert isinstance(context, av.VideoCodecContext)
            self.apply(context)
            with native_lines_hidden():  # x264 writes what it refuses to standard error itself
                open_encoder(context)
        except (av.error.FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
            given = " ".join(f"{key}={value}" for key, value in self.options.items())
            if self.hwaccel or "nvenc" in self.codec:
                raise DeviceError(f"{target}: the encoder {self.codec} does not start ({reason(error)}): is "
                                  "the device there, with its driver? Leave --hwaccel out to encode on the "
                                  "CPU") from error
            _check_rate(target, self.codec, self.rate)
            raise OptionError(f"{target}: the encoder {self.codec} does not take {self.width}x{self.height} "
                              f"{self.pix_fmt} at {float(self.rate):g} a second with "
                              f"{given or 'its defaults'} ({reason(error)}); "
                              + _listed(self.codec)) from error
        unknown = [key for key in context.options if key in self.options]
        if unknown:
            raise OptionError(f"{target}: the encoder {self.codec} has no option {', '.join(unknown)}"
                              f"{_near(unknown[0], _option_names(context))}; {_listed(self.codec)}")


def settings_for(target: str, container_format: ContainerFormat, info: VideoInfo, kind: str, options: OutputOptions, *,
                 pixels: str, colour: Colour, size: tuple[int, int], time_base: Fraction
                 ) -> tuple[Settings, list[str]]:
    """The encoder's settings for frames of format ``pixels``, and notes on what is not kept.

    Raises OptionError if codec and container or codec and alpha do not go together.
    """
    if kind == "matte":  # an auxiliary output: the encoder options are for the main picture
        options = replace(options, codec=None, codec_set={}, quality=None, bitrate=None, hwaccel=None)
    notes: list[str] = []
    name, hardware = _encoder_name(target, container_format, kind, options, notes)
    codec = _codec(target, container_format, name, hardware)
    source = replace(EncoderInput.of(pixels), alpha=kind == "cutout")
    chosen = pixel_format(target, container_format.muxer, codec, source, kind, notes)
    colour = stored_colour(container_format.muxer, codec.name, source, chosen, colour, size[1], notes)
    width, height = _even_size(codec.name, EncoderInput.of(chosen), size, notes)
    usual = dict(DEFAULTS.get(name, {}))
    if name.startswith("libwebp") and kind == "matte":
        usual["lossless"] = "1"
    values, bit_rate, quantiser = rate_control(name, usual, container_format, options, notes)
    if info.sample_aspect != 1:
        notes += _aspect_lost(target, container_format, codec.canonical_name, info.sample_aspect)
    if info.mastering is not None and kind != "matte":
        kept = with_mastering(name, values, info.mastering)
        if kept is None:
            notes.append("HDR10's metadata (mastering display, content light) is lost: streamseg writes it "
                         "with libx264, libx265 and libsvtav1")
        values = kept or values
    return Settings(name, chosen, width, height, time_base, info.rate or Fraction(25), colour,
                    info.sample_aspect, Threads.of(options.threads).encode, values, bit_rate, quantiser,
                    hardware, tag_for(name, container_format.muxer)), notes


def _aspect_lost(target: str, container_format: ContainerFormat, codec: str, aspect: Fraction) -> list[str]:
    """A note where a pixel aspect does not reach the players."""
    if container_format.muxer in SQUARE:
        return [f"{extension(target)} is shown with square pixels: the pixel aspect, {aspect}, is lost; .mp4 and .mov "
                "keep it"]
    if container_format.muxer in ("mp4", "mov") or codec in ASPECT:
        return []
    return [f"{codec} in {extension(target)} holds no pixel aspect: {aspect} is lost and players will show square "
            "pixels; .mp4 and .mov keep it"]


def tag_for(codec: str, muxer: str) -> str | None:
    """hvc1 for H.265 in MP4 and MOV: Apple's players do not show FFmpeg's hev1."""
    apple = muxer in ("mp4", "mov") and av.Codec(codec, "w").canonical_name == "hevc"
    return "hvc1" if apple else None


def _encoder_name(target: str, container_format: ContainerFormat, kind: str, options: OutputOptions, notes: list[str]
                  ) -> tuple[str, str | None]:
    usual = container_format.codec
    default = {"cutout": container_format.alpha, "matte": container_format.matte}.get(kind, usual) or usual
    if options.codec:
        return options.codec, options.hwaccel
    if options.hwaccel is None:
        return default, None
    if options.hwaccel not in HARDWARE:
        raise OptionError(f"hwaccel is {options.hwaccel!r}; allowed are: {', '.join(HARDWARE)}")
    if default not in FAMILY or kind == "cutout":
        notes.append(f"encoded on the CPU: {options.hwaccel} encodes nothing that {extension(target)} holds"
                     + (" with transparency" if kind == "cutout" else ""))
        return default, None
    return f"{FAMILY[default]}_{HARDWARE[options.hwaccel]}", options.hwaccel


def _codec(target: str, container_format: ContainerFormat, name: str, hardware: str | None) -> av.Codec:
    """The encoder; checked that it exists, encodes pictures and fits the container."""
    try:
        codec = av.Codec(name, "w")
    except ValueError as error:
        if hardware:
            raise DeviceError(f"{target}: this FFmpeg has no encoder {name} for --hwaccel {hardware}; leave "
                              "it out to encode on the CPU") from error
        raise OptionError(f"{target}: codec is {name!r}, which is no encoder here"
                          f"{_near(name, _encoders(container_format.muxer))}; the usual one here is "
                          f"{container_format.codec}, `streamseg info` lists others") from error
    if codec.type != "video":
        raise OptionError(f"codec is {name!r}, which encodes {codec.type}, not pictures")
    with av.open(os.devnull, "w", format=container_format.muxer) as trial:
        try:
            trial.add_stream(name, rate=25)
        except ValueError as error:
            raise OptionError(f"{target}: a {extension(target) or container_format.muxer} file cannot hold {name}; its "
                              f"usual codec is {container_format.codec}, .mkv holds nearly all") from error
    return codec


def open_encoder(context: av.CodecContext) -> None:
    """Open an encoder whose settings are made; no thread is scheduled otherwise after it than before."""
    with scheduling_kept():
        context.open()


def _even_size(codec: str, to: EncoderInput, size: tuple[int, int], notes: list[str]) -> tuple[int, int]:
    width, height = size
    if codec in ODD_SIZES:
        return size
    even = (-(-width // to.sx) * to.sx, -(-height // to.sy) * to.sy)
    if even != size:
        notes.append(f"{width}x{height} is written as {even[0]}x{even[1]}, its last row or column repeated: "
                     f"{codec} with {to.name} takes even sizes only; .webm and --codec ffv1 take odd ones")
    return even


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 4, 0.5) or [item for item in known if name in item][:4]
    return f"; near it: {', '.join(near)}" if near else ""


def _encoders(format: str) -> list[str]:
    """The encoders of pictures that the container takes."""
    with av.open(os.devnull, "w", format=format) as trial:
        return [name for name in sorted(av.codecs_available) if _takes(trial, name)]


def _takes(container: av.container.OutputContainer, name: str) -> bool:
    try:
        if av.Codec(name, "w").type != "video":
            return False
        container.add_stream(name, rate=25)
    except ValueError:  # a decoder's name, or none of this container's
        return False
    return True


def _check_rate(target: str, name: str, rate: Fraction) -> None:
    """Raise OptionError where an encoder takes certain rates only, and ``rate`` is none of them."""
    taken = [Fraction(item.numerator, item.denominator) for item in av.Codec(name, "w").frame_rates or ()]
    if taken and rate not in taken:
        near = min(taken, key=lambda other: abs(other - rate))
        raise OptionError(f"{target}: {name} does not take {rate} frames a second, but "
                          f"{', '.join(str(item) for item in sorted(taken))}: give --cfr {near}, or another --codec")


def _listed(codec: str) -> str:
    return f"`ffmpeg -h encoder={codec}` lists what it takes"


def _option_names(context: Any) -> list[str]:
    every = context.supported_options
    return [item.name for item in (*every.private, *every.generic)]
