"""Pictures and videos as backgrounds: how they fill the frame, their colours and their clock."""

from __future__ import annotations

import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from streamseg.background import Picture, VideoBackground, media, open_background, sample_values
from streamseg.background.media import converted
from streamseg.composite import Compositor
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.errors import SourceError
from streamseg.options import Options
from streamseg.source import open_source
from tests import clips, stills

from . import drawn

FITS = ("cover", "contain", "stretch", "tile")


def halves(size, left=(200, 30, 30), right=(30, 30, 200), format="gbrp"):
    """A picture of two colours side by side."""
    blank = drawn.frame(format, size)
    first, second = (sample_values(rgb, blank) for rgb in (left, right))
    planes = []
    for plane, one, other in zip(blank.planes, first, second, strict=True):
        made = np.full_like(plane, one)
        made[:, plane.shape[1] // 2:] = other
        planes.append(drawn.locked(made))
    return Frame(tuple(planes), format, blank.time_base, 0, 0, blank.colour)


def shown(picture, like, fit, aspect=Fraction(1)):
    planes = converted(picture, like, fit, aspect)
    return Frame(planes, like.format, like.time_base, 0, 0, like.colour).rgb().astype(int)


def near(pixel, rgb, within=5):
    return np.abs(np.asarray(pixel) - rgb).max() <= within


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p10le", "gbrp", "gbrp16le"])
@pytest.mark.parametrize("source", ["gbrp", "yuv420p", "yuv444p12le"])
def test_a_wide_picture_fits_a_square_frame_in_four_ways(format, source):
    like, wide = drawn.frame(format, (80, 80)), halves((160, 80), format=source)
    red, blue, black = (200, 30, 30), (30, 30, 200), (0, 0, 0)
    covered, contained, stretched, tiled = (shown(wide, like, fit) for fit in FITS)
    for made in (covered, stretched):
        assert near(made[5, 10], red)
        assert near(made[75, 70], blue)
    assert near(covered[40, 30], red)
    assert near(contained[40, 10], red)
    assert near(contained[40, 70], blue)
    assert near(contained[8, 40], black)
    assert near(contained[72, 40], black)
    assert near(tiled[40, 70], red)  # its left half alone is as wide as the frame


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
def test_a_tall_picture_fits_a_wide_frame_in_four_ways(format):
    like, tall = drawn.frame(format, (160, 80)), halves((40, 80))
    covered, contained, stretched, tiled = (shown(tall, like, fit) for fit in FITS)
    red, blue, black = (200, 30, 30), (30, 30, 200), (0, 0, 0)
    assert near(covered[40, 70], red)
    assert near(covered[40, 90], blue)
    assert near(contained[5, 70], red)
    assert near(contained[5, 90], blue)
    assert near(contained[5, 20], black)
    assert near(contained[5, 140], black)
    assert near(stretched[5, 20], red)
    assert near(stretched[5, 140], blue)
    for column, rgb in [(10, red), (30, blue), (50, red), (70, blue), (130, red), (150, blue)]:
        assert near(tiled[40, column], rgb)


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
@pytest.mark.parametrize("source", ["yuv420p", "yuv444p10le"])
@pytest.mark.parametrize("fit", ["contain", "cover", "stretch"])
def test_a_picture_of_the_frames_shape_as_it_is_shown_fills_it(format, source, fit):
    # 180 x 144 pixels of 64/45 are shown as 256 x 144
    like, wide = drawn.frame(format, (180, 144)), halves((256, 144), format=source)
    made = shown(wide, like, fit, 1 / Fraction(64, 45))
    assert np.abs(made[:, :86] - (200, 30, 30)).max() <= 5
    assert np.abs(made[:, 94:] - (30, 30, 200)).max() <= 5


@pytest.mark.parametrize("aspect", [Fraction(1, 2), Fraction(1), Fraction(2)])
def test_a_round_disc_is_round_where_it_is_shown(aspect):
    down, across = np.mgrid[0:120, 0:120]
    disc = np.where(np.hypot(down - 59.5, across - 59.5) < 20, 255, 0).astype(np.uint8)
    picture = Frame((drawn.locked(disc),) * 3, "gbrp", Fraction(1), 0)
    like = drawn.frame("gbrp", (160, 200))
    for fit in ("contain", "cover", "tile"):
        made = shown(picture, like, fit, aspect)[:, :, 0] > 127
        if fit == "tile":
            made = made[:120, :round(120 * aspect)]
        wide, high = made.any(axis=0).sum(), made.any(axis=1).sum()
        assert abs(wide / high / aspect - 1) < 0.06
        if fit == "tile":
            assert abs(high - 40) <= 2


def test_stretch_shows_all_and_cover_keeps_the_shape():
    ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (100, 1))
    picture = Frame((drawn.locked(ramp),) * 3, "gbrp", Fraction(1), 0)
    like = drawn.frame("gbrp", (100, 100))
    stretched, covered = (shown(picture, like, fit)[50, :, 0] for fit in ("stretch", "cover"))
    assert np.abs(stretched - np.linspace(0, 255, 100)).max() <= 3
    assert np.abs(covered - np.linspace(64, 191, 100)).max() <= 3


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", drawn.COLOUR_FORMATS)
@pytest.mark.parametrize("fit", FITS)
def test_the_planes_are_those_of_the_frame(size, format, fit):
    like = drawn.frame(format, size)
    for plane, wanted in zip(converted(halves((97, 33)), like, fit), like.planes, strict=True):
        assert plane.shape == wanted.shape
        assert plane.dtype == wanted.dtype


@pytest.mark.parametrize(("matrix", "span"), [(1, 1), (1, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("format", ["yuv420p", "yuv444p", "yuv422p10le"])
def test_colours_of_a_picture_are_what_swscale_makes_of_them(matrix, span, format):
    rng = np.random.default_rng(2)
    rgb = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    like = drawn.frame(format, (64, 48), colour=Colour(matrix, span))
    picture = Frame(tuple(np.ascontiguousarray(rgb[:, :, channel]) for channel in (1, 2, 0)), "gbrp",
                    Fraction(1), 0)
    oracle = Frame.from_av(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=format, src_colorspace=Colorspace.DEFAULT, src_color_range=ColorRange.JPEG,
        dst_colorspace={1: Colorspace.ITU709, 5: Colorspace.ITU601}[matrix],
        dst_color_range={1: ColorRange.MPEG, 2: ColorRange.JPEG}[span]), 0)
    unit = 1 << (like.pixel.depth - 8)
    for number, (plane, wanted) in enumerate(zip(converted(picture, like, "stretch"), oracle.planes,
                                                 strict=True)):
        # within the blocks: at their edges swscale's chroma filter differs
        rows, columns = 8 // (like.pixel.sy if number else 1), 8 // (like.pixel.sx if number else 1)
        at = np.s_[rows // 2::rows, columns // 2::columns]
        assert np.abs(plane[at].astype(float) - wanted[at]).max() <= 2 * unit


def test_a_background_of_other_matrix_and_range_keeps_its_colours():
    like = drawn.frame("yuv420p", (64, 48), colour=Colour(1, 1))
    blank = drawn.frame("yuv420p", (128, 96), colour=Colour(5, 2))
    for rgb in [(230, 40, 60), (20, 180, 90), (128, 128, 128)]:
        picture = drawn.frame("yuv420p", (128, 96), values=sample_values(rgb, blank), colour=Colour(5, 2))
        assert near(shown(picture, like, "cover")[20, 20], rgb, 3)


HDR = [Colour(9, 1, 9, 16), Colour(9, 1, 9, 18)]


@pytest.mark.parametrize("colour", HDR)
@pytest.mark.parametrize("fit", ["stretch", "contain", "tile"])
@pytest.mark.parametrize(("source", "tags"), [
    ("gbrp", Colour()), ("gray", Colour()), ("yuv420p", Colour(1, 1, 1, 1)),
    ("yuv420p10le", Colour(9, 1, 1, 1))])
def test_a_picture_behind_an_hdr_film_is_as_bright_as_a_colour(colour, fit, source, tags):
    like = drawn.frame("yuv420p10le", (64, 48), colour=colour)
    blank = drawn.frame(source, (32, 24), colour=tags)
    for rgb in [(255, 255, 255), (118, 118, 118), (0, 0, 0), (200, 40, 60)]:
        if source == "gray" and rgb[0] != rgb[1]:
            continue
        picture = drawn.frame(source, (32, 24), values=sample_values(rgb, blank), colour=tags)
        wanted = sample_values(rgb, like)
        for plane, value in zip(converted(picture, like, fit), wanted, strict=True):
            # in 8 bits limited grey is half a step off, which is up to 3 of 10 bits' in a transfer so steep
            assert np.abs(plane.astype(int) - value).max() <= (5 if len(set(rgb)) > 1 else 3)


@pytest.mark.parametrize("colour", HDR)
def test_a_picture_of_the_same_hdr_is_taken_as_it_is(colour):
    like, picture = (drawn.frame("yuv420p10le", (64, 48), seed, colour=colour) for seed in (0, 1))
    for plane, source in zip(converted(picture, like, "cover"), picture.planes, strict=True):
        assert np.array_equal(plane, source)


def test_transparent_parts_of_a_picture_are_black():
    picture = halves((80, 80))
    own = np.full((80, 80), 255)
    own[:, 40:] = 0
    made = shown(drawn.with_alpha(picture, own), drawn.frame("yuv420p", (80, 80)), "cover")
    assert near(made[40, 20], (200, 30, 30))
    assert near(made[40, 60], (0, 0, 0))


@pytest.mark.parametrize(("name", "alpha", "said"), [("logo.png", True, True), ("photo.png", False, False),
                                                     ("opaque.png", None, False), ("logo.mov", True, True),
                                                     ("logo.gif", True, True), ("film.mov", False, False)])
def test_a_transparent_background_is_told_of(name, alpha, said, tmp_path):
    path, size = tmp_path / name, (80, 64)
    if name.endswith(".png"):
        rgba = np.full((64, 80, 4), 255, np.uint8)
        rgba[:20, :, 3] = 0 if alpha else 255
        Image.fromarray(rgba if alpha is not False else rgba[..., :3]).save(path)
    elif name.endswith(".gif"):
        stills.animation(path, alpha=True)
    else:
        clips.video(path, codec="qtrle", pix_fmt="argb" if alpha else "rgb24", alpha=alpha, size=size, frames=3)
    frame = drawn.frame("yuv420p", size)
    info = drawn.info(frame)
    compositor = Compositor(info, ["composite"], Options(background=str(path)))
    compositor.finish(frame, drawn.uniform(0.0))
    compositor.close()
    assert [name in note and "transparent" in note for note in compositor.notes] == [True] * said


def test_a_picture_is_converted_once_a_size(monkeypatch):
    calls = []
    monkeypatch.setattr(media, "converted", lambda *given: calls.append(given) or converted(*given))
    picture = Picture(halves((80, 80)), "cover")
    for size in [(64, 48), (64, 48), (32, 32), (64, 48)]:
        frame = drawn.frame("yuv420p", size)
        made = Frame.empty(frame)
        picture.paint(made, frame, None)
        assert near(made.rgb()[10, 5], (200, 30, 30), 6)
    assert len(calls) == 3


class Reel:
    """A source whose picture number n is grey of 20 n + 10, with the given times in milliseconds."""

    opened = 0
    closed = 0

    def __init__(self, times, last=100):
        self.frames = [drawn.frame("gray", (16, 16), values=(20 * n + 10,), pts=pts, index=n,
                                   duration=last, name=None) for n, pts in enumerate(times)]
        self.info = drawn.info(self.frames[0] if self.frames else drawn.frame("gray"))
        self.notes, self.damaged = [], 0
        Reel.opened += 1

    def __iter__(self):
        return iter(self.frames)

    def close(self):
        Reel.closed += 1


def numbers(film, times, base=Fraction(1, 1000)):
    seen = []
    for index, pts in enumerate(times):
        frame = drawn.frame("gray", (16, 16), pts=pts, index=index, time_base=base)
        made = Frame.empty(frame)
        film.paint(made, frame, None)
        seen.append((int(made.planes[0][8, 8]) - 10) // 20)
    return seen


@pytest.fixture
def reel(monkeypatch):
    Reel.opened = Reel.closed = 0

    def use(times, rate=None, **given):
        monkeypatch.setattr(media, "open_source", lambda spec, options: Reel(times, **given))
        return VideoBackground("clip", Options(fit="stretch"), drawn.info(drawn.frame(), rate=rate))
    return use


def test_a_film_runs_on_its_own_clock(reel):
    # pictures at 0, 100, 250: a frame shows the last one that is not after it, whatever its own rate
    film = reel([5000, 5100, 5250])
    assert numbers(film, [700, 740, 799, 800, 949, 950, 1049]) == [0, 0, 0, 1, 1, 2, 2]


@pytest.fixture(params=[0, media.HELD], ids=["too large to hold", "held"])
def held(request, monkeypatch):
    monkeypatch.setattr(media, "HELD", request.param)
    return bool(request.param)


def test_a_film_starts_again_after_its_last_pictures_duration(reel, held):
    film = reel([0, 100, 250], last=50)  # 300 ms long
    assert numbers(film, [0, 299, 300, 400, 599, 600, 700, 851, 900]) == [0, 2, 0, 1, 2, 0, 1, 2, 0]
    film.close()
    assert Reel.opened == Reel.closed == (1 if held else 4)


def test_what_is_held_of_a_film_is_all_of_it_or_nothing(reel, monkeypatch):
    monkeypatch.setattr(media, "HELD", 2 * 16 * 16)  # two of its three pictures
    film = reel([0, 100, 200])
    assert numbers(film, [0, 100, 200, 300, 400, 500, 600]) == [0, 1, 2, 0, 1, 2, 0]
    film.close()
    assert Reel.opened == Reel.closed == 3


def test_a_frame_far_ahead_finds_its_picture(reel, held):
    assert numbers(reel([0, 100, 250], last=50), [0, 3000 + 260, 3000 + 610]) == [0, 2, 0]


def test_frames_without_times_go_by_the_rate(reel):
    film = reel([0, 100, 200], rate=Fraction(10))
    assert numbers(film, [None, None, None, None]) == [0, 1, 2, 0]


def test_a_film_of_one_picture_stays(reel):
    assert numbers(reel([40], last=0), [0, 500, 90000]) == [0, 0, 0]


def test_a_film_of_one_short_picture_is_opened_once(reel):
    film = reel([40], last=1)
    assert numbers(film, [0, 500, 3000]) == [0, 0, 0]
    film.close()
    assert Reel.opened == Reel.closed == 1


def test_loops_that_are_over_are_jumped_over(reel, held):
    film = reel([7, 8], last=1)
    assert numbers(film, [100, 101, 2100, 4101]) == [0, 1, 0, 1]
    film.close()
    assert Reel.opened == Reel.closed == (1 if held else 3)


def test_a_film_without_pictures_is_an_error(reel):
    with pytest.raises(SourceError, match="no picture"):
        reel([])
    assert Reel.closed == Reel.opened == 1


def test_a_picture_file_lies_behind_the_subject(tmp_path):
    path = str(tmp_path / "wall.png")
    cv2.imwrite(path, np.full((48, 64, 3), (200, 30, 30), np.uint8))  # BGR: blue
    frame = drawn.frame("yuv420p", (160, 120))
    maker = Compositor(drawn.info(frame), ["composite"], Options(background=path))
    made = maker.finish(frame, drawn.matte())["composite"]
    maker.close()
    assert near(made.rgb()[3, 3], (30, 30, 200), 3)
    assert made.planes[0][60, 80] == frame.planes[0][60, 80]


def test_an_exif_turned_picture_is_upright(tmp_path):
    path = stills.exif_image(tmp_path / "turned.jpg", 6)
    background = open_background(Options(background=str(path), fit="stretch"), drawn.info(drawn.frame()))
    frame = drawn.frame("yuv444p", clips.SIZE)
    made = Frame.empty(frame)
    background.paint(made, frame, None)
    assert clips.read_index(made.rgb()) == 0


@pytest.mark.parametrize(("name", "frames", "rate"), [("one.webm", 1, 25), ("short.mov", 2, 30000)])
def test_a_short_video_file_is_read_once(tmp_path, monkeypatch, name, frames, rate):
    path = clips.video(tmp_path / name, frames=frames, rate=Fraction(rate))
    opened = []
    monkeypatch.setattr(media, "open_source", lambda *given: opened.append(given) or open_source(*given))
    background = open_background(Options(background=str(path)), drawn.info(drawn.frame()))
    for number in range(4):
        frame = drawn.frame("yuv444p", clips.SIZE, pts=number, time_base=Fraction(1, 2))
        background.paint(Frame.empty(frame), frame, None)
    background.close()
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["clip.mkv", "wall.png"])
def test_the_pixels_shapes_are_those_of_the_film_and_of_its_background(tmp_path, kind):
    path = tmp_path / kind
    # shown as 256 x 144, as the frames are; a picture's pixels are square
    if kind == "wall.png":
        stills.image(path, size=(256, 144), code=False)
    else:
        clips.video(path, frames=2, size=(128, 144), sar=Fraction(2), code=False)
    frame = drawn.frame("yuv444p", (180, 144))
    info = drawn.info(frame, sample_aspect=Fraction(64, 45))
    background = open_background(Options(background=str(path), fit="contain"), info)
    made = Frame.empty(frame)
    background.paint(made, frame, None)
    background.close()
    top = made.rgb()[2].astype(int)
    assert np.abs(top - clips.BACKGROUND).max() <= 12


@pytest.mark.parametrize("name", ["clip.mkv", "clip.gif"])
def test_a_video_file_loops_behind_the_subject(tmp_path, name):
    path = tmp_path / name
    if name.endswith("gif"):
        stills.animation(path, frames=5)
    else:
        clips.video(path, frames=5)
    with av.open(str(path)) as container:
        times = [float(picture.pts * picture.time_base) for picture in container.decode(video=0)]
    step = Fraction(times[1] - times[0]).limit_denominator(1000)
    background = open_background(Options(background=str(path), fit="stretch"), drawn.info(drawn.frame()))
    assert isinstance(background, VideoBackground)
    seen = []
    for number in range(12):
        frame = drawn.frame("yuv444p", clips.SIZE, pts=number, time_base=step, index=number)
        made = Frame.empty(frame)
        background.paint(made, frame, None)
        seen.append(clips.read_index(made.rgb()))
    background.close()
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_a_film_is_decoded_ahead_in_a_thread_of_its_own_which_ends_with_it(tmp_path):
    def threads():
        return [thread.name for thread in threading.enumerate() if thread.name == "streamseg-background"]

    before = threads()
    clips.video(tmp_path / "film.mp4", frames=60)
    like = drawn.frame("yuv444p", clips.SIZE)
    film = open_background(Options(background=str(tmp_path / "film.mp4"), fit="stretch"), drawn.info(like))
    assert threads() == before  # nothing runs before the second picture is asked for
    film.paint(Frame.empty(like), like, None)
    assert threads() == [*before, "streamseg-background"]
    film.close()
    film.close()
    assert threads() == before


def test_a_film_that_is_damaged_further_on_shows_what_was_whole(reel, monkeypatch):
    class Damaged(Reel):
        def __iter__(self):
            yield from self.frames
            raise SourceError("the film is damaged")

    monkeypatch.setattr(media, "open_source", lambda spec, options: Damaged([0, 100, 200]))
    film = VideoBackground("clip", Options(fit="stretch"), drawn.info(drawn.frame()))
    assert numbers(film, [0, 100]) == [0, 1]
    with pytest.raises(SourceError, match="the film is damaged"):
        numbers(film, [200])
    film.close()
