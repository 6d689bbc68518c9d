"""Options: every default of streamseg lives here and nowhere else.

One field is one option of the Python API (``streamseg.run(..., background="blur")``) and one flag of
the command line (``--background blur``): cli/flags.py builds the flags from these fields and their metadata.
This module imports nothing heavy, so that ``streamseg --help`` starts fast.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from os import PathLike
from typing import Any, Self

from .errors import OptionError
from .validation import (
    area_lengths,
    check_method,
    check_value,
    choice,
    default_of,
    frames_per_second,
    interval,
    named,
    places,
    worded,
)


def option(default: Any, group: str, help: str, *, choices: tuple[str, ...] | None = None,
           low: float | None = None, high: float | None = None, metavar: str | None = None,
           flag: str | None = None, live: str | None = None, several: bool = False) -> Any:
    """A field of Options: its default, the group it is listed under, its help, what it may be.

    ``flag``: the command line's spelling where it is not ``--field-name`` (``--a/--no-a`` for bools).
    ``several``: the flag may be given several times; the texts are one, with spaces between them.
    ``live``: the help of `streamseg live`, where what is true of the other commands is not.
    """
    metadata = {"group": group, "help": help, "choices": choices, "low": low, "high": high,
                "metavar": metavar, "flag": flag, "live": live or help, "several": several}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


MAX_PIXELS = 1 << 27  # of a picture that is worked on at its full size
GROUPS = ("Input", "Method", "Matte", "Background", "Output")  # headings, in the order of --help
# Texts that may not be empty: an output's path, and what else is to be said of the value.
_TARGETS: dict[str, tuple[str, ...]] = {"matte": (), "cutout": (), "foreground": (),
                                        "codec": ("an encoder's name, as libx265",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionGroup:
    """Fields made by ``option``, whose values are checked when the object is made: OptionError names the value and what
    is allowed."""

    def __post_init__(self) -> None:
        for item in fields(self):
            check_value(item.name, getattr(self, item.name), item.metadata, str(item.type))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Options from keyword arguments; an unknown name is an OptionError that lists the known ones."""
        known = [item.name for item in fields(cls)]
        for name in options:
            choice("option", name, known)
        return cls(**options)


@dataclass(frozen=True, kw_only=True)
class CommonOptions(OptionGroup):
    """What several stages read."""

    start: float = option(0.0, "Input", "Skip this many seconds.", low=0, metavar="S")
    duration: float | None = option(None, "Input", "Stop after this many seconds.", low=0, metavar="S")
    preview: float | None = option(None, "Output", "Write only the first N seconds.", low=0, metavar="N")
    audio: bool = option(True, "Output", "Keep sound and subtitles.", flag="--audio/--no-audio")
    timeout: float = option(15.0, "Input", "Stop with an error when the input gives nothing for this long.",
                            low=0.1, metavar="S")
    retry: int = option(0, "Input", "How often a network input is opened again, with growing waits.",
                        low=0, metavar="N")
    on_error: str = option("stop", "Input", "What to do at a damaged part of the input: stop the run, or skip it "
                           "and count it.", choices=("stop", "skip"))
    threads: int | None = option(None, "Method", "Number of threads for all libraries together; default: "
                                 "the number of cores.", low=1, high=1024, metavar="N",
                                 live="Budget of threads for all libraries together, of which the model "
                                 "takes half; default: 4 (2 on a single core).")
    hwaccel: str | None = option(None, "Output", "Decode and encode on hardware: cuda, vaapi, ...",
                                 metavar="NAME")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _as_kept(item.name, getattr(self, item.name))
            if item.name == "method" and not isinstance(value, str):
                check_method(value)
            else:
                check_value(item.name, value, item.metadata, str(item.type))
            if item.name == "every":
                interval(value)
            if item.name == "roi" and value is not None:
                area_lengths(value)
            if item.name == "region" and value is not None:
                places(value)
            if item.name in _TARGETS:
                named(item.name, value, *_TARGETS[item.name])
            if str(item.type).startswith("Fraction") and value is not None:
                value = frames_per_second(item.name, value)
            object.__setattr__(self, item.name, value)


@dataclass(frozen=True, kw_only=True)
class InputOptions(CommonOptions):
    """What a source reads."""

    stream: int | None = option(None, "Input", "Number of the video stream, from 0; default: the best.",
                                low=0, metavar="N")
    rate: Fraction | None = option(
        None, "Input", "Frames a second of a sequence of pictures or arrays; default 25.", metavar="FPS")
    only: str | None = option(None, "Input", "Take only the matching files of a folder, as '*.webp'.",
                              metavar="GLOB")
    deinterlace: bool = option(False, "Input", "Deinterlace (bwdif), one frame a frame.")
    max_pixels: int = option(MAX_PIXELS, "Input", "Read no larger pictures. Beyond the default they are worked on at a "
                             "reduced size.", low=1, metavar="N")
    on_resize: str = option("fit", "Input", "Where the picture changes its size: fit later pictures into the first "
                            "one's size, or all into the largest, or split: begin a new file, out.2.mp4.",
                            choices=("fit", "largest", "split"))


@dataclass(frozen=True, kw_only=True)
class MethodOptions(CommonOptions):
    """How the subject is found. ``method`` is a name or, in Python, a Segmenter object, which remains the
    caller's to close."""

    method: str | Any = option("default", "Method", "How the subject is found: see `streamseg "
                               "methods`, or package.module:Class.", metavar="NAME")
    set: Mapping[str, Any] = option({}, "Method", "A parameter of the method, as block=15.",
                                    metavar="NAME=VALUE")
    model: str | None = option(None, "Method", "Built-in model: small (faster), medium, large or both "
                               "(slower, better); or a model file: .tflite, .onnx or .keras.", metavar="NAME|FILE")
    model_spec: str | None = option(None, "Method", "JSON file that describes the model's input and output.",
                                    metavar="FILE")
    classes: str | None = option(None, "Method", "Classes of a multi-class model that are the subject.",
                                 metavar="NAME,NAME")
    device: str = option("auto", "Method", "Where the model runs.", choices=("auto", "cpu", "gpu"))
    runtime: str = option("auto", "Method", "What the model runs in.",
                          choices=("auto", "litert", "keras", "onnx"))
    matte_in: str | None = option(None, "Method", "Mattes from elsewhere, in place of the method's: one for every "
                                  "frame, or the first alone, which is carried along. A film, folder or picture.",
                                  metavar="PATH")
    batch: int = option(1, "Method", "How many frames the method gets at once.", low=1, high=256, metavar="N")


@dataclass(frozen=True, kw_only=True)
class TemporalOptions(CommonOptions):
    """What steadies the mattes over time, and spares the method work."""

    smooth: str = option("auto", "Matte", "How mattes are smoothed over time; auto: lookahead, or flow where "
                         "frames cannot wait.",
                         choices=("auto", "none", "ema", "adaptive", "flow", "lookahead"))
    smooth_strength: float = option(0.6, "Matte", "Share of a still pixel that comes from other frames.",
                                    low=0.0, high=0.95, metavar="0..0.95")
    hysteresis: float = option(0.15, "Matte", "How far beyond 0.5 alpha must go before a pixel changes its label.",
                               low=0.0, high=0.5, metavar="0..0.5")
    lookahead: int = option(4, "Matte", "How many later frames smoothing by lookahead uses.", low=1, high=32,
                            metavar="N")
    persistence: int | None = option(None, "Matte", "How many frames something new must last before it counts as the "
                                     "subject; at the border and beside the subject fewer; 0: none; default: 8 for a "
                                     "network with smoothing, else 0.", low=0, high=100, metavar="N")
    skip_still: float | None = option(None, "Matte", "Compute no new matte while no part of the picture "
                                      "changes by more than this PSNR, as 40; default: always compute.",
                                      low=0.0, metavar="DB")
    steadiness: float | None = option(None, "Matte", "One knob for how steady mattes are: 0 as the method gives them, "
                                      "0.5 as by default, 1 the steadiest. It sets the options of smoothing.",
                                      low=0.0, high=1.0, metavar="0..1")
    every: str = option("auto", "Matte", "Compute a matte for every Nth frame only and move it along with "
                        "the picture for the others; auto: for a network as seldom as the picture allows, "
                        "else 1.", metavar="N|auto")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steadiness is None:
            return
        for name, value in smoothing_of(self.steadiness).items():
            given, usual = getattr(self, name), default_of(type(self).__dataclass_fields__[name])
            if name == "smooth" and value == "auto":
                continue  # which smoother is another matter
            if given not in (usual, value):
                raise OptionError(f"steadiness is {self.steadiness:g} and {name} {given!r}: steadiness sets {name}; "
                                  "leave one of the two out")
            object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class EdgeOptions(CommonOptions):
    """How the small matte becomes an edge at full size."""

    edges: str = option("guided", "Matte", "How the matte is enlarged to the picture's size: guided by the "
                        "picture's colours, or bilinear.", choices=("guided", "bilinear"))
    subject: str = option("all", "Matte", "Which of several subjects to keep: all, the largest, or the one "
                          "nearest to the centre.", choices=("all", "largest", "center"))
    roi: str | None = option(None, "Matte", "Look for the subject within this part of the picture only, in pixels or "
                             "per cent, as 25%,0,50%,100%; outside it is background.", metavar="X,Y,W,H")
    region: str | None = option(None, "Matte", "Add what lies at a place, or has a colour, to the subject (+) or take "
                                "it away (-), as +50%,40% -10,20 -red.", metavar="PLACE", several=True)
    invert: bool = option(False, "Matte", "Remove the subject and keep the rest.")
    require_subject: bool = option(False, "Matte", "Fail, and write nothing, where no subject is found in any frame.")
    clean: bool = option(True, "Matte", "Remove small specks and fill small holes.",
                         flag="--clean/--no-clean")
    threshold: float | None = option(None, "Matte", "Make the edge hard at this alpha; default: keep the "
                                     "soft edge.", low=0.0, high=1.0, metavar="0..1")
    erode: float = option(0.0, "Matte", "Move the edge inwards by so many pixels; negative: outwards.",
                          low=-100.0, high=100.0, metavar="PIXELS")
    feather: float = option(0.0, "Matte", "Soften the edge by so many pixels.", low=0.0, high=200.0,
                            metavar="PIXELS")
    feather_out: float = option(0.0, "Matte", "Let the edge fade out over so many pixels outside the subject, whose "
                                "inside stays as it is.", low=0.0, high=200.0, metavar="PIXELS")
    light_wrap: float = option(0.0, "Matte", "How much light of the new background falls around the "
                               "subject's edge.", low=0.0, high=1.0, metavar="0..1")


@dataclass(frozen=True, kw_only=True)
class BackgroundOptions(CommonOptions):
    """What goes behind the subject."""

    background: str | None = option(
        None, "Background", "blur, none (transparent), original, a colour name or #rrggbb, a picture or a "
        "video; default: none where the output can hold alpha, else green.", metavar="WHAT",
        live="blur, original, a colour name or #rrggbb, a picture or a video; default: blur.")
    fit: str = option("cover", "Background", "How a background picture or video fills the frame.",
                      choices=("cover", "contain", "stretch", "tile"))
    blur: float = option(0.5, "Background", "Strength of the background blur.", low=0.0, high=1.0,
                         metavar="0..1")
    show_stages: bool = option(False, "Background", "Show what each step makes of the matte side by side: as the "
                               "method gave it, steadied, refined, and composited.")
    show_matte: bool = option(False, "Background", "Show the matte over the original.")


@dataclass(frozen=True, kw_only=True)
class CompositeOptions(EdgeOptions, BackgroundOptions):
    """What the compositor reads."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions(CommonOptions):
    """What a sink reads."""

    matte: str | None = option(None, "Output", "Also write the matte: .mkv (lossless FFV1), a folder or "
                               "pictures.", metavar="PATH")
    cutout: str | None = option(None, "Output", "Also write the subject with a transparent background.",
                                metavar="PATH")
    foreground: str | None = option(None, "Output", "Also write the foreground colours without alpha.",
                                    metavar="PATH")
    packed: str | None = option(None, "Output", "Write cut-outs as opaque videos, for players that know no alpha: "
                                "colour above matte (stacked), or beside it; or as VR players take it (deovr).",
                                choices=("stacked", "side-by-side", "deovr"))
    codec: str | None = option(None, "Output", "Video encoder; default: what the extension calls for.",
                               metavar="NAME")
    codec_set: Mapping[str, str] = option({}, "Output", "An option of the encoder, as preset=slow.",
                                          metavar="NAME=VALUE")
    quality: int | None = option(None, "Output", "0 (smallest) to 100 (best); default: the codec's usual.",
                                 low=0, high=100, metavar="0..100")
    bitrate: str | None = option(None, "Output", "Video bit rate instead of quality, as 4M.",
                                 metavar="RATE")
    cfr: Fraction | None = option(None, "Output", "Constant frame rate instead of the input's own timestamps: "
                                  "frames are repeated or dropped.", metavar="FPS")
    start_number: int | None = option(None, "Output", "Number of the first of numbered pictures; default: the input's "
                                      "own numbers, else 1.", low=0, metavar="N")
    overwrite: bool = option(False, "Output", "Replace outputs that exist.")
    keep_partial: bool = option(False, "Output", "Keep what was written when a run fails.")


@dataclass(frozen=True, kw_only=True)
class Options(InputOptions, MethodOptions, TemporalOptions, CompositeOptions, OutputOptions):
    """What a run may be told: all groups together. Values are checked when the object is made: OptionError names
    the value and what is allowed. Times are in seconds. A function takes the group that it reads."""

    strokes: str | None = option(None, "Matte", "Strokes drawn on frames, \"this too\" and \"not that\", which go "
                                 "with the motion until a cut: a JSON file, or the JSON (MANUAL.md says what it "
                                 "holds).", metavar="FILE")
    stall_timeout: float = option(120.0, "Input", "Stop with an error when a stage makes no progress for this long.",
                                  low=0.1, metavar="S")


def smoothing_of(steadiness: float) -> dict[str, Any]:
    """The options of smoothing that a steadiness of 0 to 1 stands for; those of 0.5 are the defaults."""
    strength = 1.2 * steadiness if steadiness <= 0.5 else 0.6 + 0.6 * (steadiness - 0.5)
    hysteresis = 0.3 * steadiness if steadiness <= 0.5 else 0.15 + 0.4 * (steadiness - 0.5)
    return {"smooth": "none" if steadiness == 0 else "auto", "smooth_strength": round(strength, 4),
            "hysteresis": round(hysteresis, 4), "lookahead": max(1, round(8 * steadiness))}


def _as_kept(name: str, value: Any) -> Any:
    """A value as Options keeps it: paths as text, and NUMBERS; background none in small letters; strokes as JSON."""
    if name == "strokes" and isinstance(value, (list, tuple)):
        return json.dumps(value)
    value = worded(name, os.fspath(value) if isinstance(value, PathLike) else value)
    if name == "background" and isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    return value
