"""Films in parts: the parts' mattes and the joined file against the film in one piece."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg import api
from streamseg.batch import spans as splitting
from streamseg.batch import split
from streamseg.batch.methods import Methods
from streamseg.core.frames import Frame, Matte
from streamseg.errors import SinkError
from streamseg.sink.join import part_of
from tests import clips

FAST: dict[str, Any] = {"method": "threshold"}


def content(index: int) -> Any:
    """Two shots: the second, from frame 60 on, is dark and upside down."""
    shown = clips.picture(index, code=False)
    return shown if index < 60 else (255 - shown)[::-1]


def in_parts(source: Path, target: Path, seconds: float, **options: Any) -> tuple[list[splitting.Span], list[str]]:
    (target.parent / "parts").mkdir(exist_ok=True)
    job = {"source": str(source), "sinks": [str(target)], "options": options}
    assert split.may_be_split(job)
    spans = splitting.spans(job, seconds)
    assert spans is not None
    methods = Methods()
    done = [split.do_part(job, span, str(target.parent / "parts"), methods) for span in spans]
    methods.close()
    return spans, split.join_all(job, spans, done)


def mattes(path: Path) -> dict[int, Any]:
    with av.open(str(path)) as container:
        return {frame.pts: frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)}


def shown(path: Path, kind: str) -> list[tuple[str, ...]]:
    """(pts, flags) of each packet, in order of time, as ffprobe sees it."""
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts", "-of",
                           "csv=p=0", str(path)], capture_output=True, text=True, check=True)
    return sorted(tuple(line.strip(",").split(",")) for line in done.stdout.split())


@pytest.mark.parametrize(("frames", "gop"), [(120, 12), (130, 300)], ids=["at a key frame", "before the middle"])
def test_at_a_cut_the_mattes_are_the_same_to_the_last_bit(tmp_path: Path, frames: int, gop: int) -> None:
    clips.video(tmp_path / "in.mp4", frames=frames, content=content, gop=gop, audio=True,
                options={"sc_threshold": "0"})
    spans, _ = in_parts(tmp_path / "in.mp4", tmp_path / "out.mp4", 2.5, matte=str(tmp_path / "m.mkv"), **FAST)
    assert [(span.count, span.cut) for span in spans] == [(60, True), (frames - 60, True)]
    assert spans[1].lead == spans[1].begin
    api.run(str(tmp_path / "in.mp4"), str(tmp_path / "whole.mp4"), matte=str(tmp_path / "whole.mkv"), **FAST)
    found, wanted = mattes(tmp_path / "m.mkv"), mattes(tmp_path / "whole.mkv")
    assert list(found) == list(wanted)
    assert all(np.array_equal(found[time], wanted[time]) for time in wanted)


def alphas(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgba")[..., 3].astype(int) for frame in container.decode(video=0)]


def same_and_no_jump(found: list[Any], wanted: list[Any], borders: Iterable[int]) -> list[float]:
    """The mean differences of two films' pictures, which are small, at the borders as elsewhere."""
    differences = [float(np.abs(one - other).mean()) / 255 for one, other in zip(found, wanted, strict=True)]
    assert max(differences) <= 1e-3, differences.index(max(differences))
    for border in borders:  # a step there is as it was in one piece
        steps = [float(np.abs(film[border] - film[border - 1]).mean()) / 255 for film in (found, wanted)]
        assert abs(steps[0] - steps[1]) <= 1e-3
    return differences


def test_elsewhere_they_differ_by_less_than_a_thousandth_and_do_not_jump(tmp_path: Path) -> None:
    """One key frame, so that the borders are anywhere; and a cut that is at none, from which mattes are counted."""
    clips.video(tmp_path / "in.mkv", frames=260, gop=300, options={"sc_threshold": "0"},
                content=lambda index: content(index + 60 if index < 20 else 20 + (index - 20) % 40))
    spans, _ = in_parts(tmp_path / "in.mkv", tmp_path / "m.mkv", 3.5, matte=None, show_matte=False, background="none")
    assert [span.cut for span in spans] == [True, False, False]
    order = list(range(260))
    leads = [round(span.lead * span.time_base * 25) for span in spans]
    assert leads[1] == 20  # all of the shot
    assert leads[2] == 20 + splitting.LEAD
    assert order[leads[2]] < sum(span.count for span in spans[:2])
    api.run(str(tmp_path / "in.mkv"), str(tmp_path / "whole.mkv"), background="none")
    found, wanted = alphas(tmp_path / "m.mkv"), alphas(tmp_path / "whole.mkv")
    same_and_no_jump(found, wanted, itertools.accumulate(span.count for span in spans[:-1]))
    assert len(found) == 260


def test_parts_are_of_one_length_wherever_key_frames_are(tmp_path: Path) -> None:
    clips.video(tmp_path / "in.mp4", frames=160, gop=30, options={"sc_threshold": "0"}, code=False)
    spans, _ = in_parts(tmp_path / "in.mp4", tmp_path / "m.mkv", 1.6, background="none", **FAST)
    assert [(span.count, span.cut) for span in spans] == [(40, True), (40, False), (40, False), (40, False)]
    api.run(str(tmp_path / "in.mp4"), str(tmp_path / "whole.mkv"), background="none", **FAST)
    same_and_no_jump(alphas(tmp_path / "m.mkv"), alphas(tmp_path / "whole.mkv"), (40, 80, 120))


class AsItLooks:
    """A method whose matte is the picture itself: white is the subject, what is grey is doubtful."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(frame.rgb()[..., 1].astype(np.float32) / 255) for frame in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


def doubtful(index: int) -> Any:
    """A subject that is sure, and what comes beside it in the middle of the picture, near the borders at 100 and 200:
    one that is doubtful for as long as it takes to be believed, and others, for a few frames or to the end."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[20:80, 10 + index % 7:40 + index % 7] = 255
    for first, last, row, column, level in ((15, 260, 8, 100, 190), (97, 103, 32, 70, 255), (98, 260, 32, 130, 255),
                                            (194, 200, 64, 70, 255), (197, 260, 64, 130, 255)):
        if first <= index < last:
            picture[row:row + 16, column:column + 16] = level
    return picture


@pytest.mark.parametrize("options", [{}, {"smooth": "flow"}, {"lookahead": 8, "persistence": 12}], ids=str)
def test_what_must_last_is_believed_when_it_is_in_the_whole_film(tmp_path: Path, options: dict[str, Any]) -> None:
    clips.video(tmp_path / "in.mkv", frames=300, gop=300, size=(160, 96), content=doubtful,
                options={"sc_threshold": "0", "crf": "10"})
    told: dict[str, Any] = {"method": AsItLooks(), "background": "none", "persistence": 8, "edges": "bilinear",
                            "clean": False, **options}
    job = {"source": str(tmp_path / "in.mkv"), "sinks": [str(tmp_path / "m.mkv")], "options": told}
    spans = splitting.spans(job, 4)
    assert spans is not None
    assert [(span.cut, span.count) for span in spans] == [(True, 100), (False, 100), (False, 100)]
    (tmp_path / "parts").mkdir()
    split.join_all(job, spans, [split.do_part(job, span, str(tmp_path / "parts"), Methods()) for span in spans])
    api.run(job["source"], str(tmp_path / "whole.mkv"), **told)
    found, wanted = alphas(tmp_path / "m.mkv"), alphas(tmp_path / "whole.mkv")
    same_and_no_jump(found, wanted, (100, 200))
    believed = [bool(picture[14:18, 106:110].mean() > 90) for picture in wanted]
    assert not any(believed[:60])  # else the test shows nothing
    assert all(believed[240:260])
    assert not wanted[198][70:74, 76:80].any()
    assert wanted[240][70:74, 136:140].all()


@pytest.mark.parametrize(("name", "made"), [("in.mp4", "out.mp4"), ("in.mkv", "out.mkv"), ("in.mp4", "out.mov"),
                                            ("in.mkv", "out.webm"), ("in.mp4", "out.mkv"), ("in.mkv", "out.mp4")])
def test_times_sound_subtitles_chapters_and_tags_are_as_in_one_piece(tmp_path: Path, name: str, made: str) -> None:
    clips.video(tmp_path / name, frames=100, audio=True, subtitles=True, chapters=True,
                metadata={"title": "a film"}, b_frames=2)
    options = {**FAST, "background": "blue", "codec_set": {"cpu-used": "8", "deadline": "realtime"}
               if made.endswith("webm") else {}}
    in_parts(tmp_path / name, tmp_path / made, 1, **options)
    whole = tmp_path / f"whole{Path(made).suffix}"
    api.run(str(tmp_path / name), str(whole), **options)
    for kind in ("v", "a", "s"):
        assert shown(tmp_path / made, kind) == shown(whole, kind)
    one, other = clips.ffprobe(tmp_path / made), clips.ffprobe(whole)
    assert one["format"]["tags"]["title"] == other["format"]["tags"]["title"] == "a film"
    assert len(one["streams"]) == len(other["streams"])
    for part, full in zip(one["streams"], other["streams"], strict=True):
        for key in ("codec_name", "codec_type", "avg_frame_rate", "start_time", "pix_fmt", "color_space", "channels"):
            assert part.get(key) == full.get(key), key
    assert one["format"]["duration"] == other["format"]["duration"]
    with av.open(str(tmp_path / made)) as joined, av.open(str(whole)) as single:
        starts = [[chapter["start"] for chapter in film.chapters()] for film in (joined, single)]
        assert starts[0] == starts[1]


def test_thirty_parts_are_not_short_by_their_roundings(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    clips.video(tmp_path / "in.mp4", frames=240, rate=rate, b_frames=2, gop=8)
    spans, _ = in_parts(tmp_path / "in.mp4", tmp_path / "out.mp4", 0.34, background="blue", **FAST)
    assert len(spans) >= 25
    times = sorted(int(line[0]) for line in shown(tmp_path / "out.mp4", "v"))
    assert len(times) == 240
    assert {later - now for now, later in itertools.pairwise(times)} == {times[1] - times[0]}


def test_a_variable_rate_keeps_every_time(tmp_path: Path) -> None:
    times = [0]
    for number in range(119):
        times.append(times[-1] + (20, 33, 90, 41)[number % 4])
    clips.video(tmp_path / "in.mkv", pts=times, frames=120, time_base=Fraction(1, 1000))
    in_parts(tmp_path / "in.mkv", tmp_path / "out.mkv", 2, background="blue", **FAST)
    assert sorted(int(line[0]) for line in shown(tmp_path / "out.mkv", "v")) == times


def test_a_film_that_begins_late_does_so_still(tmp_path: Path) -> None:
    clips.video(tmp_path / "in.mkv", frames=100, start_offset=1.5, audio=True)
    in_parts(tmp_path / "in.mkv", tmp_path / "out.mkv", 1, background="blue", **FAST)
    api.run(str(tmp_path / "in.mkv"), str(tmp_path / "whole.mkv"), background="blue", **FAST)
    for kind in ("v", "a"):
        assert shown(tmp_path / "out.mkv", kind) == shown(tmp_path / "whole.mkv", kind)


@pytest.mark.parametrize("options", [
    {"start": 1.0}, {"cfr": 25}, {"method": "mog2"}, {"method": "plate"}, {"on_error": "skip"}, {"skip_still": 40.0},
    {"background": "film"}, {"method": "my.own:Method"}, {"packed": "stacked"}], ids=str)
def test_what_needs_the_whole_film_is_not_split(tmp_path: Path, options: dict[str, Any]) -> None:
    source = clips.video(tmp_path / "in.mp4", frames=12)
    job: dict[str, Any] = {"source": str(source), "sinks": ["out.mp4"], "options": {}}
    assert split.may_be_split(job)
    if options.get("background") == "film":
        options = {"background": str(source)}
    assert not split.may_be_split({**job, "options": options})


@pytest.mark.parametrize("target", ["out.gif", "null:", "f_%03d.png", "out/", "out.avi", "memory://a/out.mp4"])
def test_outputs_that_cannot_be_joined_are_not_split(tmp_path: Path, target: str) -> None:
    source = clips.video(tmp_path / "in.mp4", frames=12)
    assert not split.may_be_split({"source": str(source), "sinks": ["a.mp4", target], "options": {}})


def test_a_short_film_is_not_split(tmp_path: Path) -> None:
    source = clips.video(tmp_path / "in.mp4", frames=30)
    assert splitting.spans({"source": str(source), "sinks": ["out.mp4"], "options": {}}, 1.0) is None


def test_a_part_that_lacks_frames_is_no_part(tmp_path: Path) -> None:
    source = clips.video(tmp_path / "in.mp4", frames=60)
    job = {"source": str(source), "sinks": ["out.mp4"], "options": {**FAST, "background": "blue"}}
    spans = splitting.spans(job, 1.0)
    assert spans is not None
    wrong = replace(spans[1], count=spans[1].count + 1)
    (tmp_path / "parts").mkdir()
    with pytest.raises(split.NotInParts, match="gave 30 frames, its packets say 31"):
        split.do_part(job, wrong, str(tmp_path / "parts"), Methods())
    assert list((tmp_path / "parts").iterdir()) == []
    with pytest.raises(SinkError, match="has 60 frames, and 3 were written"):
        part_of(str(source), [1, 2, 3])
