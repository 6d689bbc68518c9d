"""The live tab's parts without a browser: pictures in and out, settings, limits, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import ValidationError

from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import yuv_from_rgb
from streamseg.errors import OptionError, SourceError, SourceTimeoutError
from streamseg.options import MethodOptions
from streamseg.serve.live import Cameras
from streamseg.serve.live.media import (
    LARGEST,
    BrowserSource,
    JpegDecoder,
    JpegEncoder,
    NewestFrame,
    Vp8Encoder,
    camera_info,
    shaped,
)
from streamseg.serve.live.router import same_origin
from streamseg.serve.live.sessions import PICTURE_PIXELS, Camera, CameraSettings, Settings
from streamseg.serve.refusals import Refusal
from tests import clips

SIZE = (160, 120)
INFO = camera_info(*SIZE, 30, full_range=False)
METHOD = MethodOptions(method="threshold", set={"polarity": "dark"})


def picture(rgb: np.ndarray, *, full_range: bool = False) -> av.VideoFrame:
    """As a browser's decoder gives it: yuv420p of BT.601, with no tags."""
    info = camera_info(rgb.shape[1], rgb.shape[0], 30, full_range=full_range)
    matrix = yuv_from_rgb(info.colour, info.height, 8)
    planes = np.einsum("pc,hwc->phw", matrix[:, :3], rgb / 255.0) + matrix[:, 3:, None]
    made = av.VideoFrame(rgb.shape[1], rgb.shape[0], "yuv420p")
    for number, plane in enumerate(planes):
        small = plane if number == 0 else cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        made.planes[number].update(padded(np.rint(small).astype(np.uint8), made.planes[number].line_size))
    return made


def padded(rows: np.ndarray, width: int) -> bytes:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1]))).tobytes()


def frame(rgb: np.ndarray, pts: int = 0, **kinds: Any) -> Frame:
    info = camera_info(rgb.shape[1], rgb.shape[0], 30, **(kinds or {"full_range": False}))
    made = picture(rgb, full_range=info.colour.full_range)
    made.pts = pts
    return Frame.from_av(made, 0, time_base=Fraction(1, 1_000_000), colour=info.colour)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


@pytest.mark.parametrize(("size", "wanted"), [
    ((1280, 720), (1280, 720)), ((641, 359), (640, 360)), ((3840, 2160), (1920, 1080)), ((1080, 1920), (1080, 1920)),
    ((8000, 100), (1920, 24)), ((16, 16), (16, 16))])
def test_a_camera_is_worked_on_at_an_even_size_within_the_limit(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    info = camera_info(*size, 30, full_range=False)
    assert (info.width, info.height) == wanted
    assert max(wanted) <= LARGEST[0]
    assert min(wanted) <= LARGEST[1]


@pytest.mark.parametrize("rate", [None, 0.1, 1000.0])
def test_a_rate_that_cannot_be_is_unknown(rate: float | None) -> None:
    assert camera_info(*SIZE, rate, full_range=False).rate is None


def test_the_newest_picture_is_given_and_the_others_are_dropped() -> None:
    source = BrowserSource(INFO, 5)
    for level in (10, 20, 30):
        source.put(picture(np.full((120, 160, 3), level, np.uint8)))
    assert abs(int(next(iter(source)).rgb()[60, 80, 0]) - 30) <= 1
    source.end()
    assert list(source) == []
    source.put(picture(clips.picture(0)))   # after the end it goes nowhere
    assert list(source) == []


def test_a_camera_that_falls_silent_is_an_error_that_says_so() -> None:
    with pytest.raises(SourceTimeoutError, match="no picture came from the browser's camera"):
        next(iter(BrowserSource(INFO, 0.01)))


def test_a_turned_camera_is_cut_to_the_shape_that_was_agreed_and_not_squeezed() -> None:
    rgb = np.zeros((160, 120, 3), np.uint8)
    rgb[35:125] = 200        # the middle 90 rows, which are 120 x 90: 4:3
    cut = shaped(frame(rgb), INFO)
    assert (cut.width, cut.height) == (120, 90)
    assert abs(int(cut.rgb()[1:-1].mean()) - 200) <= 2
    same = frame(clips.picture(0))
    assert shaped(same, INFO) is same


def test_vp8_comes_back_as_what_went_in() -> None:
    encoder = Vp8Encoder(INFO)
    decoder = av.CodecContext.create("libvpx", "r")
    packets = []
    for index in range(4):
        packet = encoder.encode(frame(clips.picture(index), 33_333 * index))
        assert packet is not None
        packets.append(packet)
    assert [packet.is_keyframe for packet in packets] == [True, False, False, False]
    assert [packet.pts for packet in packets] == [0, 3000, 6000, 9000]   # in RTP's 1/90000
    shown = [picture for packet in packets for picture in decoder.decode(packet)]
    assert len(shown) == 4
    shown[-1].colorspace, shown[-1].color_range = 6, 1
    assert clips.read_index(Frame.from_av(shown[-1], 0, colour=INFO.colour).rgb()) == 3
    encoder.key = True
    again = encoder.encode(frame(clips.picture(4), 133_333))
    assert again is not None
    assert again.is_keyframe


def test_jpeg_comes_back_in_full_range() -> None:
    rgb = clips.picture(5)
    info = camera_info(*SIZE, 30, full_range=True)
    packet = JpegEncoder(info).encode(frame(rgb, full_range=True))
    assert packet is not None
    independent = cv2.imdecode(np.frombuffer(bytes(packet), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    inside = clips.truth(5)
    assert np.abs(independent.astype(int) - rgb)[~inside].mean() < 4
    source = BrowserSource(info, 5)
    source.put(JpegDecoder().decode(bytes(packet)))
    assert np.abs(next(iter(source)).rgb().astype(int) - rgb)[~inside].mean() < 4


def test_no_picture_and_a_huge_one_are_refused() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        JpegDecoder().decode(b"no JPEG")
    huge = cv2.imencode(".jpg", np.zeros((2400, 3200), np.uint8))[1].tobytes()
    with pytest.raises(SourceError, match="cannot be read"):
        JpegDecoder().decode(huge)


@pytest.mark.parametrize("background", ["/etc/passwd", "none", "original", "red", "#12345", "picture/../x", ""])
def test_settings_name_no_path(background: str) -> None:
    with pytest.raises(ValidationError):
        Settings(background=background)


def test_settings_that_are_unknown_or_out_of_range_are_refused() -> None:
    for given in ({"blur": 2}, {"model": "x"}, {"width": 0, "height": 10}, {"width": 10_000, "height": 10}):
        with pytest.raises(ValidationError):
            CameraSettings.model_validate({"width": 160, "height": 120, **given})


@pytest.mark.parametrize(("origin", "host", "wanted"), [
    (None, "127.0.0.1:7000", True), ("http://127.0.0.1:7000", "127.0.0.1:7000", True),
    ("http://evil.example", "127.0.0.1:7000", False), ("http://127.0.0.1:7001", "127.0.0.1:7000", False)])
def test_a_socket_of_another_page_is_refused(origin: str | None, host: str, wanted: bool) -> None:
    class Socket:
        headers = {"host": host} | ({} if origin is None else {"origin": origin})

    assert same_origin(Socket()) is wanted  # type: ignore[arg-type]


def test_the_newest_frame_is_taken_and_the_end_is_told_again_and_again() -> None:
    async def work() -> None:
        newest = NewestFrame(asyncio.get_running_loop())
        for index in range(3):
            newest.write(frame(clips.picture(index), index))
        taken = await newest.get()
        assert taken is not None
        assert taken.pts == 2
        newest.close()
        assert await newest.get() is None
        assert await newest.get() is None

    run(work())


async def live_camera(cameras: Cameras, told: list[dict[str, Any]], **settings: Any) -> Camera:
    info = camera_info(*SIZE, 30, full_range=True)
    return await cameras.open(info, Settings(**settings), JpegEncoder(info), told.append)


async def corner_of_next(camera: Camera, index: int) -> np.ndarray:
    """RGB at the border of the next finished picture."""
    shown = cv2.imencode(".jpg", clips.picture(index, code=False)[..., ::-1])[1].tobytes()
    camera.source.put(JpegDecoder().decode(shown))
    packet = await camera.packet()
    assert packet is not None
    return cv2.imdecode(np.frombuffer(bytes(packet), np.uint8), cv2.IMREAD_COLOR)[60, 3, ::-1].astype(int)


def test_a_camera_goes_through_the_engine_and_its_settings_hold_from_the_next_picture_on() -> None:
    async def work() -> None:
        cameras, told = Cameras(METHOD, 2), []
        camera = await live_camera(cameras, told, background="#204080")
        assert camera.name in cameras
        assert np.abs(await corner_of_next(camera, 0) - (0x20, 0x40, 0x80)).max() <= 4
        camera.set(Settings(background="#d02020"))
        index = 1
        while np.abs(await corner_of_next(camera, index) - (0xd0, 0x20, 0x20)).max() > 4:
            index += 1      # those that were on their way
        camera.end()
        await camera.ended.wait()
        assert len(cameras) == 0
        assert told[-1] == {"end": "The camera has ended."}
        await cameras.close()

    run(work())


def test_a_picture_lies_behind_the_person_and_its_file_is_gone_with_the_camera(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def work() -> None:
        cameras: Cameras = Cameras(METHOD, 2)
        camera = await live_camera(cameras, [], background="picture")
        with pytest.raises(OptionError, match="no picture"):
            await camera.set_picture(b"no picture")
        huge = cv2.imencode(".png", np.zeros((5000, PICTURE_PIXELS // 5000 + 1), np.uint8))[1].tobytes()
        with pytest.raises(OptionError, match="megapixels"):
            await camera.set_picture(huge)
        yellow = np.zeros((60, 80, 3), np.uint8)
        yellow[:] = (20, 200, 220)
        await camera.set_picture(cv2.imencode(".png", yellow)[1].tobytes())
        index = 0
        while np.abs(await corner_of_next(camera, index) - (220, 200, 20)).max() > 6:
            index += 1
        assert list(tmp_path.rglob("background"))
        await cameras.close()

    run(work())
    assert list(tmp_path.iterdir()) == []


def test_as_many_cameras_as_the_server_takes_and_no_more() -> None:
    async def work() -> None:
        cameras = Cameras(METHOD, most=1)
        camera = await live_camera(cameras, [])
        with pytest.raises(Refusal, match="takes no camera"):
            await live_camera(Cameras(METHOD, most=0), [])
        with pytest.raises(Refusal, match="cameras that are live: 1") as refused:
            await live_camera(cameras, [])
        assert (refused.value.status, "Retry-After" in refused.value.headers) == (503, True)
        camera.end()
        await camera.ended.wait()
        await live_camera(cameras, [])
        await cameras.close()
        assert len(cameras) == 0

    run(work())


def test_a_camera_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def work() -> None:
        cameras = Cameras(MethodOptions(method="threshold", set={"polarity": "dark"}, device="gpu"), 2)
        with pytest.raises(Exception, match="gpu"):
            await live_camera(cameras, [])
        assert len(cameras) == 0
        await cameras.close()

    run(work())
    assert list(tmp_path.iterdir()) == []
