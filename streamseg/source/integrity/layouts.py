"""Formats made of pieces of equal length: MPEG-TS and Y4M."""

from __future__ import annotations

# MPEG-TS: length of a packet (M2TS: 192 with a time before each; 204 with check bytes), place of its sync byte
TS_PACKETS, TS_MARK = ((188, 0), (192, 4), (204, 0)), b"\x47"


def ts_packet(head: bytes) -> int | None:
    """The length of the packets of an MPEG-TS that begins with ``head``, None if it is none."""
    fitting = (length for length, place in TS_PACKETS if head[place:3 * length:length] == 3 * TS_MARK)
    return next(fitting, None)


def y4m_fields(header: bytes) -> dict[str, str]:
    """The parameters in the header's line, by their letter."""
    return {item[:1]: item[1:] for item in header.decode("ascii", "replace").split()[1:]}


def y4m_record(fields: dict[str, str]) -> int | None:
    """Bytes that a frame takes with its 'FRAME' line, None for a layout that is not known here."""
    layout = fields.get("C", "420")
    base, _, deep = layout.partition("p") if layout[:3].isdigit() else (layout, "", "")
    depth = int(deep) if deep.isdigit() else 8
    try:
        width, height = int(fields["W"]), int(fields["H"])
    except (KeyError, ValueError):
        return None
    half = (-(-width // 2), -(-height // 2))
    chroma = {"420": half[0] * half[1], "422": half[0] * height, "444": width * height, "mono": 0}
    kind = "420" if base.startswith("420") else base
    if kind not in chroma:
        return None
    return 6 + (width * height + 2 * chroma[kind]) * (2 if depth > 8 else 1)
