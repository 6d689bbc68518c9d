"""In which pixel format and with which colours an encoder gets its pictures.

Nearest to the frames' own, of what comes back from the file (``capability``). What a file would not keep is converted
into what it keeps, or refused, and the notes say so.
"""

from __future__ import annotations

from dataclasses import replace

import av

from ..core.pixel_formats import FULL, Colour
from ..errors import OptionError
from .capability import Cell, capability, coming_back
from .containers import DELIVERY, EncoderInput, closest
from .quality import LOSSLESS

RAW = ("rawvideo", "wrapped_avframe")
_UNTOLD = 2  # FFmpeg's matrix of pictures that have no tag
_BT2020 = 9  # of ColourPrimaries and of MatrixCoefficients
_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 8: "YCgCo", 9: "BT.2020", 10: "BT.2020",
          11: "SMPTE 2085", 12: "of the primaries", 13: "of the primaries", 14: "ICtCp", 15: "IPT-PQ-C2",
          16: "YCgCo-Re", 17: "YCgCo-Ro"}
_VPX = (1, 4, 5, 6, 7, 9)  # those that VP9 has numbers for, or that the table knows better


def pixel_format(target: str, muxer: str, codec: av.Codec, source: EncoderInput, kind: str, notes: list[str]) -> str:
    """FFmpeg's name of the format in which ``codec`` gets frames that hold what ``source`` says.

    Raises OptionError where alpha would be lost, or nothing would come back.
    """
    if codec.name == "gif":
        return "pal8"
    wanted = source
    if codec.canonical_name in DELIVERY and (source.rgb or source.grey):
        wanted = replace(source, sx=2, sy=2, rgb=False, grey=False)
    supported = _supported(muxer, codec, source)
    chosen = closest(wanted, supported)
    if source.alpha and (chosen is None or not EncoderInput.of(chosen).alpha):
        raise OptionError(f"{target}: the encoder {codec.name} cannot hold transparency here; those that can: "
                          "prores_ks (.mov), libvpx-vp9 (.webm, .mkv), ffv1 (.mkv)")
    if chosen is None:
        raise OptionError(f"{target}: pictures of the encoder {codec.name} do not come back from such a file; .mkv "
                          "holds nearly all codecs")
    if source.alpha and _loses_colours(capability(muxer, codec.name, chosen)):
        # RGB needs no range and no matrix to be told
        chosen = closest(wanted, [name for name in supported if _rgb_with_alpha(name)]) or chosen
    _remarks(codec.name, source, wanted, EncoderInput.of(chosen), kind, notes)
    return chosen


def _supported(muxer: str, codec: av.Codec, source: EncoderInput) -> list[str]:
    """The formats that the encoder takes and that come back, with their alpha where ``source`` has some. An encoder
    lists formats with which it does not open."""
    if codec.name in RAW:
        listed = _raw_formats(source)
    elif codec.name.startswith("libwebp"):  # its YUV is BT.601 by definition; from RGB nothing shifts
        listed = ["bgra"]
    else:
        listed = [item.name for item in codec.video_formats or []]
    return coming_back(muxer, codec.name, listed, source.alpha)


def _raw_formats(source: EncoderInput) -> list[str]:
    """Raw pictures: as they are; with alpha also as RGB."""
    if not source.alpha:
        return [source.name]
    rgb = "rgba" if source.depth == 8 else "rgba64le"
    if source.rgb:
        return [rgb]
    planar = "yuva420p16le" if source.depth == 12 and source.sx * source.sy == 4 else source.name.replace("yuv", "yuva")
    return [planar, rgb]


def _rgb_with_alpha(name: str) -> bool:
    layout = EncoderInput.of(name)
    return layout.rgb and layout.alpha


def _loses_colours(cell: Cell | None) -> bool:
    """Whether a reader is told neither range nor matrix."""
    return cell is not None and cell.fixed == _UNTOLD and cell.full != FULL


def _remarks(codec: str, source: EncoderInput, wanted: EncoderInput, kept: EncoderInput, kind: str, notes: list[str]
             ) -> None:
    if kept.depth < source.depth:
        notes.append(f"{source.depth} bits become {kept.depth}: {codec} takes no more here"
                     + ("; --codec libsvtav1 keeps 10" if codec == "libvpx-vp9" and kind != "cutout" else ""))
    if not wanted.grey and kept.sx * kept.sy > wanted.sx * wanted.sy:
        notes.append(f"{_sampling(wanted)} chroma becomes {_sampling(kept)}: {codec} takes no more here"
                     + ("; .mov and .mkv keep it" if kind == "cutout" else ""))
    if kind == "matte" and codec not in LOSSLESS and not codec.startswith("libwebp"):
        notes.append(f"the matte in {codec} is lossy; .mkv (FFV1) or pictures keep it as it is")


def _sampling(layout: EncoderInput) -> str:
    """'4:2:2' and the like."""
    across = 4 // layout.sx
    return f"4:{across}:{across if layout.sy == 1 else 0}"


def stored_colour(muxer: str, codec: str, source: EncoderInput, chosen: str, colour: Colour, height: int,
                  notes: list[str]) -> Colour:
    """The colour tags of the output, to which its pictures are converted: those of the input, changed where a
    conversion to another kind of pixel changes them, or the file does not keep them."""
    to = EncoderInput.of(chosen)
    if source.grey:
        return replace(colour, matrix=_UNTOLD, range=FULL)
    if to.rgb or chosen == "pal8":
        return replace(colour, matrix=0, range=FULL)
    if source.rgb:
        colour = replace(colour, matrix=_BT2020 if colour.primaries == _BT2020 else _usual(height), range=1)
    cell = capability(muxer, codec, chosen)
    if cell is None or to.grey:
        return colour
    span = cell.range_for(colour)
    if colour.full_range and span != FULL:
        notes.append(f"full range becomes limited: {codec} keeps no other here; .mkv with FFV1 or H.264 does")
    return replace(colour, range=span, matrix=_told_matrix(codec, cell, colour.matrix, height, notes))


def _usual(height: int) -> int:
    """The matrix that players assume where none is told."""
    return 1 if height >= 720 else 6


def _told_matrix(codec: str, cell: Cell, matrix: int, height: int, notes: list[str]) -> int:
    """The matrix of the output: the input's, or the one that readers will take where they are not told it."""
    meant = _usual(height) if matrix == _UNTOLD else matrix
    kept = cell.keeps_matrix(meant) and not (codec.startswith("libvpx") and meant not in _VPX)
    if kept or meant not in _NAMES:
        return matrix
    taken = _usual(height) if cell.fixed in (None, _UNTOLD) else cell.fixed
    if _NAMES[taken] == _NAMES[meant]:
        return matrix
    if codec in RAW:  # a pipe gives samples as they are
        notes.append(f"raw pictures here do not say their matrix, {_NAMES[meant]}: tell it to the reader, who would "
                     f"take {_NAMES[taken]}; --codec ffv1 into .mkv keeps it")
        return matrix
    notes.append(f"the matrix {_NAMES[meant]} becomes {_NAMES[taken]}: {codec} keeps no other here")
    return taken
