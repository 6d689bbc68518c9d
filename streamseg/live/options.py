"""Options of ``streamseg live`` only; those that it shares with ``run`` are fields of Options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from fractions import Fraction

from ..errors import OptionError
from ..options import OptionGroup, option
from ..validation import check_value, frames_per_second, worded

# The fields of Options that mean the same here
SHARED = ("start", "stream", "timeout", "on_error", "method", "set", "model", "model_spec", "classes",
          "device", "runtime", "threads", "smooth", "smooth_strength", "hysteresis", "persistence",
          "steadiness", "every", "edges",
          "subject", "roi", "region", "invert", "clean", "threshold", "erode", "feather", "feather_out", "light_wrap",
          "background", "fit", "blur", "codec", "codec_set", "quality", "bitrate", "overwrite")


WHIP_VARIABLE = "STREAMSEG_WHIP_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions(OptionGroup):
    """Values are checked when the object is made: OptionError names the value and what is allowed."""

    # camera
    camera: str | None = option(None, "Camera", "Which camera: its number, name or device; `streamseg "
                                "cameras` lists them. Default: the first.", metavar="NAME")
    size: str | None = option(None, "Camera", "Picture size to ask for; default 1280x720.", metavar="WxH")
    rate: Fraction | None = option(None, "Camera", "Frames a second to ask for; default 30.", metavar="FPS")
    format: str | None = option(None, "Camera", "Pixel format of the camera, as mjpeg or yuyv422; default: "
                                "mjpeg from 720 lines on, where raw pictures do not fit through USB 2.",
                                metavar="NAME")
    backend: str = option("av", "Camera", "How the camera is read: by FFmpeg, or by OpenCV if that fails.",
                          choices=("av", "opencv"))
    realtime: bool = option(False, "Camera", "Play a file at its own pace, as if it were a camera.")
    reconnect: bool = option(False, "Camera", "Open the camera or the stream again, with growing waits, when it "
                             "is lost; meanwhile the background alone goes out.")
    on_demand: bool = option(False, "Camera", "Close the camera while no program has the virtual camera "
                             "open; then only one picture a second is sent. On Linux, with --to virtual or pipewire.")

    # picture
    backgrounds: str | None = option(None, "Picture", "Backgrounds that the keys n and b go through, as "
                                     "a.jpg,b.mp4,blur.", metavar="LIST")
    mirror: bool = option(False, "Picture", "Mirror the picture left to right.")
    follow: bool = option(False, "Picture", "Zoom in a little and keep the head in the middle, with smooth movements.")
    rest: bool = option(True, "Picture", "Do not compute again while the picture does not change.",
                        flag="--rest/--no-rest")

    # keeping up
    adapt: bool = option(True, "Keeping up", "Lower the quality in steps when the machine cannot keep up, "
                         "and raise it again.", flag="--adapt/--no-adapt")
    max_cpu: str | None = option(None, "Keeping up", "Lower the quality above this share of the CPU time of "
                                 "all cores together, as 60%.", metavar="PERCENT")
    duration: float | None = option(None, "Keeping up", "End after so many seconds.", low=0, metavar="S")

    # sound
    audio: str | None = option(None, "Sound", "Microphone for recordings and streams: a device's name, or "
                               "'default'.", metavar="DEVICE")

    # streams
    whip_token: str | None = option(None, "Streams", "The bearer token of --to whip:URL. Safer, for no list of "
                                    f"processes shows it: {WHIP_VARIABLE} in the environment. --save-config leaves it "
                                    "out.", metavar="TEXT")

    # control
    config: str | None = option(None, "Control", "Settings in a TOML file; read again whenever it changes.",
                                metavar="FILE")
    json_stats: str | None = option(None, "Control", "Write a JSON line a second: fps, latency, drops, CPU, "
                                    "memory, step. - is standard output.", metavar="PATH")
    hud: bool = option(True, "Control", "Show statistics in the window.", flag="--hud/--no-hud")

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, worded(item.name, getattr(self, item.name)))
            check_value(item.name, getattr(self, item.name), item.metadata, str(item.type))
        if self.rate is not None:
            object.__setattr__(self, "rate", frames_per_second("rate", self.rate))
        if self.size is not None:
            picture_size(self.size)
        cpu_share(self.max_cpu)
        if self.whip_token is not None:
            bearer_token(self.whip_token)


def bearer_token(given: str | None) -> str | None:
    """The token for a WHIP server: ``given``, else the environment's; None where there is none. Raises OptionError."""
    token = os.environ.get(WHIP_VARIABLE) or None if given is None else given
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        where = WHIP_VARIABLE if given is None else "whip_token"
        raise OptionError(f"{where} is no bearer token (not shown here): it has letters, digits and signs of ASCII, "
                          "and no blanks")
    return token


def picture_size(text: str) -> tuple[int, int]:
    """(width, height) of '1280x720'. Raises OptionError."""
    found = re.fullmatch(r"\s*(\d{2,5})\s*[x×]\s*(\d{2,5})\s*", text)
    if found is None:
        raise OptionError(f"size is {text!r}; it must be width x height in pixels, as 1280x720")
    return int(found[1]), int(found[2])


def cpu_share(text: str | None) -> float | None:
    """0.6 of '60%' or '60'; None of None. Raises OptionError."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%?\s*", text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0.05 <= share <= 1:
        raise OptionError(f"max_cpu is {text!r}; it must be a share of all cores together, 5% to 100%")
    return share
