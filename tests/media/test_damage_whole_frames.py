"""Damage in a real file: every picture that is whole before it reaches the outputs, whatever holds pictures back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

import streamseg
from streamseg.errors import DamagedInputError
from tests import clips

FRAMES, DAMAGED = 60, 40  # of the coded pictures the 41st is overwritten


def damaged(path: Path, **clip: Any) -> int:
    """Write a clip, and zeros over one coded picture in it. -> how many pictures are shown before all that needs it"""
    clips.video(path, frames=FRAMES, size=(128, 96), gop=100, **clip)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size, packet.pts) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    place, size, _ = packets[DAMAGED]
    assert place is not None
    data[place:place + size] = bytes(size)
    path.write_bytes(data)
    # a picture counts as whole where it is shown before the first picture that was coded after the damage
    return sum(pts < min(item[2] for item in packets[DAMAGED:]) for _, _, pts in packets)


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("clip", [{"b_frames": 0}, {"b_frames": 3}, {"b_frames": 0, "audio": True},
                                  {"b_frames": 3, "audio": True}], ids=str)
@pytest.mark.parametrize("options", [{"smooth": "none"}, {"smooth": "lookahead"}, {"deinterlace": True}], ids=str)
def test_every_whole_picture_before_the_damage_is_kept(tmp_path: Path, batch: int, clip: dict[str, Any],
                                                       options: dict[str, Any]) -> None:
    whole = damaged(tmp_path / "in.mp4", **clip)
    assert DAMAGED - 3 <= whole <= DAMAGED
    targets = [tmp_path / "out.mkv", tmp_path / "out.mp4"]
    with pytest.raises(DamagedInputError, match="is damaged at") as caught:
        streamseg.run(tmp_path / "in.mp4", targets, method="threshold", batch=batch, keep_partial=True, **options)
    assert len(caught.value.__notes__) == len(targets)
    for target in targets:
        assert not target.exists()
        kept = target.with_name(f"out.partial{target.suffix}")
        with av.open(str(kept)) as container:
            seen = [clips.read_index(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]
        assert len(seen) >= whole
        assert seen[:whole] == list(range(whole))
