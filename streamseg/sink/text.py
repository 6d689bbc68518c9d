"""Converts the text of subtitle packets between codecs. Styles are not kept."""

from __future__ import annotations

import re
import struct

TEXT_CODECS = ("subrip", "srt", "text", "mov_text", "webvtt", "ass", "ssa")

# FFmpeg's text encoders want a style sheet before they open; the payloads are made here.
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, \
MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def text_of(codec: str, payload: bytes) -> str:
    """The plain lines of a packet of ``codec``, one of TEXT_CODECS; '' for one that only clears."""
    if codec == "mov_text":
        length = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 0
        text = payload[2:2 + length].decode("utf-8", "replace")
    else:
        text = payload.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", 8)[-1]
        text = re.sub(r"\{[^}]*\}", "", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    if codec != "text":
        text = re.sub(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}", "", text)
    if codec == "webvtt":
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
    return text.replace("\r\n", "\n").strip("\n")


def payload_of(codec: str, text: str) -> bytes:
    """``text`` as a packet of ``codec``: mov_text, subrip or webvtt."""
    if codec == "webvtt":
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    data = text.encode()
    if codec != "mov_text":
        return data
    cut = data[:65535].decode("utf-8", "ignore").encode()
    return struct.pack(">H", len(cut)) + cut
