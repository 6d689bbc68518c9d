"""remove() gives for an array, a Pillow image, bytes or a path what run() writes; a model serves many threads."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import streamseg
from streamseg import pictures
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import DamagedInputError, OptionError, SegmentError, SourceError
from streamseg.segment import create_segmenter
from streamseg.segment.built_in import built_in
from streamseg.segment.classical.chroma import Chroma
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.runtimes import litert
from streamseg.segment.runtimes.pool import NetPool
from tests import stills
from tests.unit.fakes import FakeSegmenter, Fault

Array = np.ndarray


def person(height: int = 120, width: int = 160, left: int = 80) -> Array:
    """uint8 RGB: head and shoulders, drawn, of whom the model is sure."""
    picture = np.full((height, width, 3), (60, 110, 80), np.uint8)
    cv2.ellipse(picture, (left, height), (width // 5, height // 2), 0, 0, 360, (40, 40, 150), -1)
    cv2.ellipse(picture, (left, height // 3), (height // 8, height // 6), 0, 0, 360, (224, 180, 150), -1)
    cv2.ellipse(picture, (left, height // 4), (height // 8, height // 10), 0, 180, 360, (50, 30, 20), -1)
    return cv2.GaussianBlur(picture, (3, 3), 0)


class Halves:
    """A method: the left half is the subject."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        alpha = np.zeros((8, 16), np.float32)
        alpha[:, :8] = 1
        return [Matte(alpha.copy()) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


HALVES = Halves()


@pytest.fixture(scope="module")
def model() -> Iterator[streamseg.Model]:
    with streamseg.load_model("medium", threads=1, detail="low") as loaded:  # of a picture it takes one look
        yield loaded


QUICK: dict[str, Any] = {"model": "medium", "threads": 1, "set": {"detail": "low"}}  # the same for a run


def png(picture: Array) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def read(path: Path) -> Array:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return found[..., [2, 1, 0, 3]] if found.shape[2] == 4 else found[..., ::-1]


# what comes out

@pytest.mark.parametrize("background", [None, "blur", "#102030"])
def test_it_is_what_run_writes(background: str | None, model: streamseg.Model, tmp_path: Path) -> None:
    given, wanted = tmp_path / "in.png", tmp_path / "out.png"
    given.write_bytes(png(person()))
    streamseg.run(given, wanted, background=background, **QUICK)
    found = streamseg.remove(given, background, model=model)
    np.testing.assert_array_equal(found, read(wanted))
    assert found.shape == (120, 160, 4 if background is None else 3)
    if background is None:
        assert 0.15 < (found[..., 3] > 127).mean() < 0.45  # there is somebody, and not everywhere


def test_array_image_bytes_and_path_give_the_same(model: streamseg.Model, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    picture, path = person(), tmp_path / "p.png"
    path.write_bytes(png(picture))
    wanted = streamseg.remove(picture, model=model)
    for given in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        np.testing.assert_array_equal(streamseg.remove(given, model=model), wanted)
    found = streamseg.remove(image.fromarray(picture), model=model)
    assert (found.mode, found.size) == ("RGBA", (160, 120))
    np.testing.assert_array_equal(np.asarray(found), wanted)
    assert streamseg.remove(image.fromarray(picture), "blur", model=model).mode == "RGB"


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".bmp", ".tiff", ".avif"])
def test_pictures_of_all_kinds(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{extension}"
    try:
        assert cv2.imwrite(str(path), person()[..., ::-1])
    except (cv2.error, AssertionError):
        pytest.skip(f"this OpenCV writes no {extension}")
    found = streamseg.remove(path, model=HALVES)
    assert found.shape == (120, 160, 4)
    assert np.abs(found[:, :70, :3].astype(int) - person()[:, :70]).mean() < 6  # lossy, some of them
    np.testing.assert_array_equal(streamseg.remove(path.read_bytes(), model=HALVES), found)


def locked(array: Array) -> Array:
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_grey_rgb_and_rgba_of_8_and_16_bits(channels: int | None, kind: Any) -> None:
    peak = np.iinfo(kind).max
    shape = (24, 32) if channels is None else (24, 32, channels)
    picture = locked(np.full(shape, peak // 2, kind))
    found = streamseg.remove(picture, model=HALVES, edges="bilinear")
    assert (found.shape, found.dtype) == ((24, 32, 4), kind)
    own = peak // 2 if channels == 4 else peak  # the picture's own alpha counts
    assert abs(int(found[12, 2, 3]) - own) <= 1
    assert found[12, 30, 3] == 0
    assert (found[..., :3] == peak // 2).all()
    over = streamseg.remove(picture, "#ff0000", model=HALVES, edges="bilinear")
    assert (over.shape, over.dtype) == ((24, 32, 3), kind)
    assert over[12, 30].tolist() == [peak, 0, 0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"erode": -6.0}, {"feather_out": 8.0}, {"feather": 5.0}, {"threshold": 0.7}])
def test_the_colours_of_a_half_transparent_picture_are_its_own(kind: Any, options: dict[str, float]) -> None:
    """Its alpha does not say that they are mixed with the room; and what is not there comes back by no option."""
    unit = int(np.iinfo(kind).max) // 255
    picture = np.full((48, 64, 4), 210 * unit, kind)
    picture[:, :32, :3] = np.multiply((150, 40, 60), unit)
    picture[..., 3] = 128 * unit
    picture[:20, :, 3] = 0
    found = streamseg.remove(picture, model=HALVES, **options)
    inside = found[24:, 4:18]
    np.testing.assert_array_equal(np.abs(inside - np.multiply((150, 40, 60, 128), unit, dtype=np.int64)).max(), 0)
    assert not found[:20, :, 3].any()
    over = streamseg.remove(picture, "#0000ff", model=HALVES, **options)[24:, 4:18]
    assert np.abs(over / unit - np.array((75, 20, 157))).max() <= 1.5


@pytest.mark.parametrize("options", [{}, {"feather": 5.0}, {"erode": 2.0}], ids=str)
def test_own_alpha_changes_no_colour_before_a_key_colour(options: dict[str, float]) -> None:
    """Straight colours are those of the opaque picture, also where the screen's reflection is taken out."""
    rows, columns = np.mgrid[0:96, 0:128]
    share = np.clip((30 - np.hypot(rows - 48, columns - 64)) / 6 + 0.5, 0, 1)[..., None]
    screen = np.rint(share * (220, 40, 60) + (1 - share) * (0, 200, 0)).astype(np.uint8)
    opaque, half = (streamseg.remove(np.dstack([screen, np.full((96, 128), own, np.uint8)]), model=Chroma(), **options)
                    for own in (255, 128))
    seen = opaque[..., 3] > 20
    assert ((opaque[..., 3] > 20) & (opaque[..., 3] < 235)).sum() > 50
    np.testing.assert_array_equal(half[seen][:, :3], opaque[seen][:, :3])
    assert np.abs(half[..., 3] - opaque[..., 3] * (128 / 255)).max() < 1


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (200, 60, 60)])
@pytest.mark.parametrize("method", ["chroma", "kmeans", "region"])
def test_what_lies_beneath_transparency_is_not_the_screen(method: str, hidden: tuple[int, int, int]) -> None:
    picture = np.full((96, 128, 4), (0, 200, 0, 255), np.uint8)
    picture[24:80, 40:90, :3] = (200, 60, 60)
    picture[60:80, 40:90, :3] = (60, 10, 10)  # dark clothes
    picture[:12], picture[:, :16], picture[:, -16:] = (*hidden, 0), (*hidden, 0), (*hidden, 0)
    found = streamseg.remove(picture, model=create_segmenter(method))[..., 3]
    truth = np.zeros((96, 128), bool)
    truth[24:80, 40:90] = True
    assert ((found > 127) == truth).mean() > 0.98


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr",
                                  "HSV", "I;16"])
def test_pillow_images_of_every_mode_are_taken(mode: str) -> None:
    image = Image.new("RGB", (32, 24), (153, 153, 153))  # a grey of the palette
    straight = Image.fromarray(np.full((24, 32, 2), 153, np.uint8), "LA")
    made = (straight.convert("La") if mode == "La" else
            Image.fromarray(np.full((24, 32), 153 * 257, np.uint16)) if mode == "I;16" else
            straight.convert("PA") if mode == "PA" else image.convert(mode))
    assert made.mode == mode
    found = np.asarray(streamseg.remove(made, model=HALVES, edges="bilinear"))
    assert mode == "1" or abs(int(found[12, 2, 0]) - 153) <= 2
    assert found[12, 30, 3] == 0


def test_a_pillow_image_that_cannot_be_read_is_an_error_of_ours() -> None:
    data = BytesIO()
    Image.fromarray(person()).save(data, "PNG")
    cut = Image.open(BytesIO(data.getvalue()[:-len(data.getvalue()) // 2]))
    closed = Image.fromarray(person())
    closed.close()
    for image in (cut, closed):
        with pytest.raises(SourceError, match="a Pillow image of mode 'RGB', cannot be read"):
            streamseg.remove(image, model=HALVES)


def test_views_are_taken_as_they_are_shown() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 64, 3), np.uint8)
    for view in (picture[:, ::2], picture[::-1], picture[..., ::-1], np.asfortranarray(picture)):
        np.testing.assert_array_equal(streamseg.remove(view, model=HALVES),
                                      streamseg.remove(view.copy(), model=HALVES))


def test_no_old_background_shines_through_the_edge() -> None:
    """A disc before green, its rim half covered: the cut-out's colours there are the disc's."""
    rows, columns = np.indices((96, 128))
    alpha = np.clip(30 - np.hypot(rows - 48, columns - 64) + 0.5, 0, 1).astype(np.float32)
    colours = alpha[..., None] * (220, 40, 60) + (1 - alpha[..., None]) * (20, 200, 40)

    class Disc(Halves):
        def segment(self, frames: Sequence[Frame]) -> list[Matte]:
            return [Matte(cv2.resize(alpha, (64, 48), interpolation=cv2.INTER_AREA)) for _ in frames]

    picture = np.rint(colours).astype(np.uint8)
    found = streamseg.remove(picture, model=Disc())
    rim = (found[..., 3] > 100) & (found[..., 3] < 230)
    assert rim.sum() > 20
    assert np.abs(found[rim][:, :3].astype(int) - (220, 40, 60)).mean() < 0.3 * np.abs(
        picture[rim].astype(int) - (220, 40, 60)).mean()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    path = stills.exif_image(tmp_path / "turned.jpg", orientation)
    upright = streamseg.remove(path, model=HALVES)
    np.testing.assert_array_equal(streamseg.remove(path.read_bytes(), model=HALVES), upright)
    found = np.asarray(streamseg.remove(image.open(path), model=HALVES))
    assert found.shape == upright.shape
    assert (upright[:, :4, 3].min(), upright[:, -4:, 3].max()) == (255, 0)  # its left half as one sees it
    opaque = upright[..., 3] == 255
    assert np.abs(found[opaque].astype(int) - upright[opaque]).mean() < 3  # two decoders of JPEG


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "I;16"])
def test_every_mode_of_pillow_that_is_a_picture(mode: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    grey = image.fromarray(np.full((24, 32), 255 if mode == "1" else 100, np.uint8))
    if mode == "I;16":
        given = image.fromarray(np.full((24, 32), 100 * 257, np.uint16))
    else:
        given = (grey.convert("RGBA") if mode in ("RGBa", "PA") else grey).convert(mode)
    found = streamseg.remove(given, model=HALVES)
    assert (found.mode, found.size) == ("RGBA", (32, 24))
    assert np.abs(np.asarray(found)[12, 2].astype(int) - [*[255 if mode == "1" else 100] * 3, 255]).max() <= 2


def test_the_profile_of_a_pillow_image_stays() -> None:
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    given = image.fromarray(person())
    given.info["icc_profile"] = b"a profile"
    assert streamseg.remove(given, model=HALVES).info["icc_profile"] == b"a profile"


def test_alpha_is_the_cut_outs(model: streamseg.Model) -> None:
    alpha = model.alpha(person())
    assert (alpha.shape, alpha.dtype) == ((120, 160), np.float32)
    assert (alpha.min(), alpha.max()) == (0, 1)
    np.testing.assert_array_equal(np.rint(alpha * 255), streamseg.remove(person(), model=model)[..., 3])


# what is refused

@pytest.mark.parametrize("picture", [
    None, 3, [[1, 2], [3, 4]], np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8),
    np.zeros((0, 4), np.uint8),
    np.zeros((2, 4, 4, 3), np.uint8)], ids=["None", "int", "list", "float", "2 channels", "empty", "film"])
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    with pytest.raises(OptionError, match=r"the picture is .*; it must be an array of uint8 or uint16"):
        streamseg.remove(picture, model=HALVES)


@pytest.mark.parametrize(("data", "kind"), [(b"", SourceError), (b"no picture", SourceError),
                                            (png(person())[:900], DamagedInputError)])
def test_bytes_of_no_picture_are_named_by_their_number(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=rf"the {len(data)} bytes are no picture") as raised:
        streamseg.remove(data, model=HALVES)
    assert "/tmp" not in str(raised.value)


def test_a_film_is_refused_with_what_takes_it(tmp_path: Path) -> None:
    folder = stills.folder(tmp_path / "many")
    for path in (folder, stills.animation(tmp_path / "film.gif")):
        with pytest.raises(SourceError, match=r"not a single picture: give films and folders to streamseg\.run"):
            streamseg.remove(path, model=HALVES)


@pytest.mark.parametrize("name", ["codec", "start", "show_matte", "every", "colour"])
def test_an_option_that_says_nothing_of_a_picture_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"option is '{name}'; allowed are: .*feather"):
        streamseg.remove(person(), model=HALVES, **{name: 1})


@pytest.mark.parametrize("options", [{"feather": -1.0}, {"edges": "soft"}, {"background": "no-such-colour"}])
def test_values_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(streamseg.StreamsegError, match=r"feather|edges|no-such-colour"):
        streamseg.remove(person(), model=HALVES, **options)


def test_a_method_that_fails_is_named() -> None:
    with pytest.raises(SegmentError, match="the model failed: RuntimeError: the fake broke"):
        streamseg.remove(person(), model=FakeSegmenter(Fault("exception", 0)))
    with pytest.raises(OptionError, match="method is 3"):
        streamseg.remove(person(), model=3)  # type: ignore[arg-type]


# the model

@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that LiteRT opens from now on."""
    files: list[str] = []
    real = litert.LiteRt.__init__

    def counted(self: Any, path: Path, *rest: Any, **how: Any) -> None:
        files.append(path.name)
        real(self, path, *rest, **how)

    monkeypatch.setattr(litert.LiteRt, "__init__", counted)
    return files


def test_the_default_model_is_loaded_once_and_again_after_it_was_closed(opened: list[str]) -> None:
    pictures.default_model().close()
    opened.clear()
    first = streamseg.remove(person())
    np.testing.assert_array_equal(streamseg.remove(person()), first)
    assert sorted(opened) == sorted(built_in(name=name).name for name in ("medium", "large"))
    pictures.default_model().close()
    np.testing.assert_array_equal(streamseg.remove(person()), first)
    assert len(opened) == 4


def film(count: int = 6, start: int = 40) -> list[Array]:
    return [person(left=start + 6 * index) for index in range(count)]


def alphas(source: list[Array], **options: Any) -> Array:
    return np.stack([matte.alpha for _, matte in streamseg.mattes(source, smooth="none", every="1", **options)])


def test_one_model_serves_many_runs_pictures_and_threads_at_once(opened: list[str], tmp_path: Path) -> None:
    """Each gets what it gets alone: of the region of interest and of the sizes nothing is mixed up."""
    films = [film(), film(8, 100), [np.ascontiguousarray(picture.transpose(1, 0, 2)) for picture in film(5, 60)]]
    alone = [alphas(source, **QUICK) for source in films]
    with streamseg.load_model("medium", threads=1, detail="low") as model:
        single = streamseg.remove(person(), model=model)
    opened.clear()
    with streamseg.load_model("medium", threads=1, detail="low") as model:
        jobs: list[Callable[[], Array]] = [lambda source=source: alphas(source, method=model) for source in films]
        jobs += [lambda: streamseg.remove(person(), model=model)] * 2
        wanted = [*alone, single, single]
        with ThreadPoolExecutor(len(jobs)) as pool:
            for _ in range(2):
                for found, expected in zip(pool.map(lambda job: job(), jobs), wanted, strict=True):
                    np.testing.assert_array_equal(found, expected)
    assert opened == [built_in().name]


def test_a_model_is_a_method_for_films_and_for_pictures(model: streamseg.Model, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png(person()))
    told: dict[str, Any]
    for name, told in (("a", {"method": model}), ("b", QUICK)):
        report = streamseg.run(path, tmp_path / f"{name}.png", **told)
        assert report.runs_on.startswith("LiteRT")
        streamseg.run(path, tmp_path / f"{name}.png", overwrite=True, **told)  # it is still open
    np.testing.assert_array_equal(read(tmp_path / "a.png"), read(tmp_path / "b.png"))


def test_a_session_goes_on_and_segment_begins_anew(model: streamseg.Model) -> None:
    from streamseg.source.arrays import frame_of

    frames = [frame_of(picture, index, 1) for index, picture in enumerate(film())]
    wanted = alphas(film(), **QUICK)
    session = model.session()
    found = [matte.alpha for frame in frames for matte in session.segment([frame])]
    session.close()
    np.testing.assert_array_equal(found, wanted)
    for _ in range(2):
        np.testing.assert_array_equal(model.segment(frames[:1])[0].alpha, wanted[0])


def test_a_closed_model_says_so() -> None:
    model = streamseg.load_model()
    model.close()
    model.close()
    with pytest.raises(SegmentError, match="the model was closed: load it again"):
        streamseg.remove(person(), model=model)


@pytest.mark.parametrize(("given", "message"), [
    (("nowhere.tflite",), r"model 'nowhere\.tflite' is not there"), (("huge",), "allowed are: small, medium, large"),
    ((Path("no.onnx"),), "is not there")])
def test_a_model_that_is_none_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        streamseg.load_model(*given)


def test_a_model_can_be_pickled_and_is_loaded_again(model: streamseg.Model) -> None:
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.alpha(person()), model.alpha(person()))
    twin.close()
    model.alpha(person())  # the other's nets are its own


def test_a_pool_opens_a_file_once_a_process(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pool = NetPool("auto", "cpu", 1)
    path, spec = built_in(), ModelSpec()
    assert pool.open(path, spec) is pool.open(path, spec)
    assert opened == [built_in().name]
    monkeypatch.setattr("os.getpid", lambda: -1)
    pool.open(path, spec)
    assert len(opened) == 2
    pool.close()
    with pytest.raises(SegmentError, match="the model was closed"):
        pool.open(path, spec)


INHERITED: list[streamseg.Model] = []  # what a child finds that was forked off


def _in_child(given: streamseg.Model | str | None) -> Array:
    return streamseg.remove(person(), model=INHERITED[0] if given == "inherited" else given)


@pytest.mark.parametrize(("start", "given"), [("fork", "inherited"), ("fork", None), ("spawn", "pickled"),
                                              ("spawn", None)])
def test_a_model_that_was_used_works_in_a_child_process(start: str, given: str | None) -> None:
    """A runtime's threads are not there after a fork: what goes on with them waits for ever."""
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {start}")
    with streamseg.load_model("medium", threads=4, detail="low") as model:  # two threads for the net
        INHERITED[:] = [model]
        wanted = streamseg.remove(person(), model=None if given is None else model)
        with multiprocessing.get_context(start).Pool(1) as pool:
            found = pool.apply_async(_in_child, (model if given == "pickled" else given,)).get(timeout=120)
    np.testing.assert_array_equal(found, wanted)


def test_a_file_object_of_pillow_is_as_good_as_its_file(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    held = BytesIO(png(person()))
    np.testing.assert_array_equal(np.asarray(streamseg.remove(image.open(held), model=HALVES)),
                                  streamseg.remove(person(), model=HALVES))
