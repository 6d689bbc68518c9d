"""Films in the studio: a frame at once, a job, its outputs."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streamseg
from tests import clips, stills

from .conftest import Page
from .test_studio_pictures import drag

pytestmark = pytest.mark.slow

SIZE = (320, 240)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("films") / "film.mp4", size=SIZE, frames=25, code=False, audio=True)


@pytest.fixture(autouse=True)
def nothing_is_kept(page: Page) -> Iterator[None]:
    """Each test finds the server without films."""
    yield
    if page.find("#queue-box").is_displayed():
        page.click("#clear")
    page.until(lambda: films_of(page) == [])


@pytest.fixture
def opened(page: Page, film: Path) -> Page:
    page.choose(film)
    page.shown("film.mp4")
    return page


def set_value(page: Page, css: str, value: str) -> None:
    page.run("""
        const input = document.querySelector(arguments[0]);
        input.value = arguments[1];
        for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, { bubbles: true }));""", css, value)


def jobs_of(page: Page) -> list[dict[str, Any]]:
    """What the server says of its films."""
    with urllib.request.urlopen(page.address + "v1/jobs", timeout=60) as answer:
        return list(json.load(answer)["jobs"])


def films_of(page: Page) -> list[str]:
    """Their states."""
    return [job["state"] for job in jobs_of(page)]


def test_its_first_frame_is_cut_out_at_once_and_another_when_it_is_asked_for(opened: Page) -> None:
    assert clips.iou(opened.matte() > 127, clips.truth(0, SIZE)) > 0.9
    set_value(opened, "#scrub", "0.42")   # the picture of 0.40 to 0.44 s
    opened.until(lambda: clips.iou(opened.canvas("#after")[..., 0] > 127, clips.truth(10, SIZE)) > 0.9)
    assert clips.iou(clips.truth(0, SIZE), clips.truth(10, SIZE)) < 0.9   # the test can fail


def test_what_is_chosen_last_is_shown_however_long_the_one_before_takes(page: Page, film: Path, tmp_path: Path) -> None:
    picture = stills.image(tmp_path / "person.png", size=(200, 100))
    page.choose(film, picture)
    page.run("""
        const [first, second] = document.querySelectorAll("#queue .pick");
        for (const row of [second, first, second]) row.click();""")
    page.shown("person.png")
    page.until(lambda: page.text("#queue-count") == "1 of 2 done")
    page.until(lambda: page.canvas("#after").shape[:2] == (100, 200))
    assert not page.find("#film-panel").is_displayed()


def test_a_film_is_made_and_saved(opened: Page) -> None:
    opened.click("[name=background][value=colour]")
    opened.click("#swatches [title=Green]")
    opened.click("[name=purpose][value=web]")
    opened.click("[name=purpose][value=editor]")
    set_value(opened, "#film-start", "0.2")
    set_value(opened, "#film-duration", "0.4")
    opened.click("#film-start-job")
    opened.until(lambda: len(opened.all("#film-outputs li")) == 3, "the film is not made")
    assert opened.text("#queue [data-state=done] .hint") == "done"
    for number, (name, codec, pixels) in enumerate((("film-call.mp4", "h264", "yuv420p"), ("film-web.webm", "vp9", ""),
                                                    ("film-editor.mov", "prores", "yuva444p12le")), 1):
        opened.click(f"#film-outputs li:nth-child({number}) button:last-child")
        path = opened.downloads / f"kept-{name}"
        path.write_bytes(opened.downloaded(name))
        told = clips.ffprobe(path)
        video = next(stream for stream in told["streams"] if stream["codec_type"] == "video")
        assert video["codec_name"] == codec
        assert pixels in (video["pix_fmt"], "")
        assert float(told["format"]["duration"]) == pytest.approx(0.4, abs=0.09)
    assert [stream["codec_type"] for stream in clips.ffprobe(opened.downloads / "kept-film-call.mp4")["streams"]].count(
        "audio") == 1


def test_the_made_film_plays_with_the_background_that_was_chosen(opened: Page) -> None:
    opened.click("[name=background][value=colour]")
    opened.click("#swatches [title=Blue]")
    opened.click("#film-start-job")
    opened.until(lambda: opened.all("#film-outputs li"), "the film is not made")
    opened.click("#film-outputs [aria-label^=Play]")
    opened.until(lambda: opened.run("return document.getElementById('film-result').readyState >= 2"))
    corner = opened.canvas("#film-result")[100:120, 4:20, :3].astype(int)
    assert abs(corner - (0x2b, 0x59, 0xc3)).max() <= 6
    opened.click("#clear")
    opened.until(lambda: films_of(opened) == [], "the server keeps the film that was removed")


def test_the_first_seconds_are_tried_and_played(page: Page, tmp_path: Path) -> None:
    page.choose(clips.video(tmp_path / "long.mp4", size=SIZE, frames=150, code=False))
    page.shown("long.mp4")
    page.click("[name=background][value=blur]")
    set_value(page, "#film-start", "1")
    page.click("#film-try")
    page.until(lambda: page.run("return document.getElementById('film-result').readyState >= 2"), "it does not play")
    assert page.run("return document.getElementById('film-result').duration") == pytest.approx(3, abs=0.1)
    assert len(page.all("#film-outputs li")) == 1


def test_a_film_that_is_stopped_leaves_the_page_ready(page: Page, tmp_path: Path) -> None:
    page.choose(clips.video(tmp_path / "long.mp4", size=SIZE, frames=1500, code=False))
    page.shown("long.mp4")
    page.click("[name=background][value=blur]")
    page.click("#film-start-job")
    page.until(lambda: page.find("#film-cancel").is_displayed() and "%" in page.text("#film-hint"))
    assert page.run("return document.activeElement.id") == "film-cancel"   # the button that had it is disabled
    page.click("#film-cancel")
    page.until(lambda: page.text("#film-hint") == "Stopped.")
    assert page.run("return document.activeElement.id") == "film-start-job"
    page.until(lambda: films_of(page) == [], "the server keeps the film that was stopped")
    assert page.find("#film-start-job").is_enabled()
    assert not page.find("#film-progress").is_displayed()
    page.click("[name=view][value=matte]")
    set_value(page, "#scrub", "0.42")
    page.until(lambda: clips.iou(page.canvas("#after")[..., 0] > 127, clips.truth(10, SIZE)) > 0.9,
               "no other frame is cut out once a film was stopped")


@pytest.mark.parametrize("way", ["breaks", "ends"])
def test_a_film_is_followed_though_the_server_is_away_meanwhile(opened: Page, way: str) -> None:
    """As where it is killed, or stops, and is started again: it goes on with the film."""
    opened.run("""
        const ask = window.fetch;
        window.asked = 0;
        window.fetch = async (address, init) => {
          const answer = await ask(address, init);
          if (!String(address).endsWith("/events")) return answer;
          window.asked += 1;
          if (window.asked === 2) throw new TypeError("Failed to fetch");
          if (window.asked > 2) return answer;
          const first = await answer.body.getReader().read();
          return new Response(new ReadableStream({
            start(controller) { controller.enqueue(first.value); },
            pull(controller) {
              if (arguments[0] === "ends") controller.close();
              else controller.error(new TypeError("network error"));
            },
          }));
        };""".replace("arguments[0]", json.dumps(way)))
    opened.click("[name=background][value=colour]")
    opened.click("#film-start-job")
    opened.until(lambda: opened.all("#film-outputs li"), "the film is not followed to its end")
    assert opened.run("return window.asked") == 3
    assert opened.text("#queue [data-state] .hint") == "done"


def test_an_mp4_without_a_background_is_told_of_before_it_is_made(opened: Page) -> None:
    assert "holds no transparency" in opened.text("#film-hint")
    opened.click("[name=background][value=blur]")
    assert opened.text("#film-hint") == ""
    opened.click("[name=purpose][value=call]")
    assert "Choose at least one thing" in opened.text("#film-hint")
    assert not opened.find("#film-start-job").is_enabled()


def test_a_start_and_a_duration_that_cannot_be_are_put_right_or_told_of_before_anything_is_sent(opened: Page) -> None:
    opened.click("[name=background][value=blur]")
    for css, given, shown in (("#film-start", "-3", "0"), ("#film-duration", "0", ""), ("#film-duration", "-2", "")):
        set_value(opened, css, given)
        assert opened.find(css).get_attribute("value") == shown
    set_value(opened, "#film-start", "99")
    assert opened.text("#film-hint") == "The film lasts 1 s: choose an earlier start."
    assert not opened.find("#film-start-job").is_enabled()
    assert not opened.find("#film-try").is_enabled()
    set_value(opened, "#film-start", "0.5")
    assert opened.text("#film-hint") == ""
    assert opened.find("#film-start-job").is_enabled()
    assert films_of(opened) == []


def test_a_film_that_the_browser_cannot_read_can_still_be_made(page: Page, tmp_path: Path) -> None:
    page.choose(clips.video(tmp_path / "old.avi", size=SIZE, frames=5, code=False))
    page.until(lambda: "cannot show the film" in page.text("#film-hint"))
    page.click("[name=background][value=colour]")
    page.click("#film-start-job")
    page.until(lambda: page.all("#film-outputs li"), "the film is not made")
    page.log()  # the browser tells of the film that it cannot read


def test_what_is_drawn_on_a_frame_goes_into_the_film(opened: Page) -> None:
    """The person is taken away by a stroke on one frame: it goes with the person."""
    opened.matte()
    set_value(opened, "#scrub", "0.42")
    opened.until(lambda: clips.iou(opened.canvas("#after")[..., 0] > 127, clips.truth(10, SIZE)) > 0.9)
    opened.click("[name=tool][value=drop]")
    opened.run("document.getElementById('brush-size').value = 200")
    opened.run("document.getElementById('brush-edges').checked = false")
    drag(opened, "#paint", (0.5, 0.2), (0.5, 0.9))
    opened.click("[name=background][value=colour]")
    opened.click("#swatches [title=Blue]")
    opened.click("#film-start-job")
    opened.until(lambda: opened.all("#film-outputs li"), "the film is not made")
    [job] = jobs_of(opened)
    opened.click("#film-outputs li:nth-child(1) button:last-child")
    path = opened.downloads / "kept-strokes.mp4"
    path.write_bytes(opened.downloaded("film-call.mp4"))
    assert job["state"] == "done"
    for index, frame in enumerate(streamseg.open_source(path)):
        drawn = round(SIZE[0] * (0.5 + 0.12 * math.sin(0.35 * index))) + 13  # it moves as the person does (clips.truth)
        there = frame.rgb()[160:190, drawn - 3:drawn + 3].astype(int)
        assert abs(there - (0x2b, 0x59, 0xc3)).max() < 40, index  # the person is background there
        assert abs(frame.rgb()[160:190, drawn - 55:drawn - 50].astype(int) - (0x2b, 0x59, 0xc3)).max() > 40, index


def test_an_upload_that_breaks_off_goes_on(opened: Page) -> None:
    opened.run("""
        const { send } = XMLHttpRequest.prototype;
        window.sent = 0;
        XMLHttpRequest.prototype.send = function (part) {
          window.sent += 1;
          if (window.sent === 1) this.onerror();
          else send.call(this, part);
        };""")
    opened.click("[name=background][value=colour]")
    opened.click("#film-start-job")
    opened.until(lambda: opened.all("#film-outputs li"), "the film is not made")
    assert opened.run("return window.sent") == 2
    assert films_of(opened) == ["done"]


BREAKS_OFF = """
    const { open } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.open = function (method, address) {
      this.address = address;
      open.call(this, method, address);
    };
    XMLHttpRequest.prototype.send = function (part) {
      const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0" };
      fetch(this.address, { method: "PATCH", headers, body: part.slice(0, 1000) })
        .then(() => { window.broken = true; });
    };"""   # the server gets the first 1000 bytes, and the page hears nothing of it


@pytest.fixture
def broken_off(opened: Page) -> Page:
    """The page, opened again after it was left in the middle of sending the film."""
    opened.run(BREAKS_OFF)
    opened.click("[name=background][value=colour]")
    opened.click("#film-start-job")
    opened.until(lambda: opened.run("return window.broken"), "nothing is sent")
    opened.open()
    opened.until(lambda: opened.find("#unfinished").is_displayed(), "the page has forgotten the upload")
    return opened


def test_an_upload_goes_on_after_the_page_was_loaded_again(broken_off: Page, film: Path, tmp_path: Path) -> None:
    page = broken_off
    assert "film.mp4" in page.text("#unfinished")
    assert "1 kB of" in page.text("#unfinished")
    other = tmp_path / "film.mp4"
    other.write_bytes(clips.video(tmp_path / "other.mp4", size=SIZE, frames=2, code=False).read_bytes())
    page.choose(other)   # another film of the same name is no rest of it
    page.shown("film.mp4")
    assert page.find("#unfinished").is_displayed()
    page.click("#clear")
    page.run("""
        const { setRequestHeader } = XMLHttpRequest.prototype;
        window.offsets = [];
        XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
          if (name === "Upload-Offset") window.offsets.push(Number(value));
          setRequestHeader.call(this, name, value);
        };""")
    page.choose(film)
    page.until(lambda: page.all("#film-outputs li"), "the film is not made")
    assert page.run("return window.offsets") == [1000]
    assert not page.find("#unfinished").is_displayed()
    job, = jobs_of(page)
    with urllib.request.urlopen(page.address + job["outputs"][0]["url"].lstrip("/"), timeout=60) as answer:
        (tmp_path / "made.mp4").write_bytes(answer.read())
    assert len(list(streamseg.open_source(tmp_path / "made.mp4"))) == 25
    page.click("#clear")
    page.open()
    assert page.run("return localStorage.getItem('streamseg.uploads')") == "[]"
    assert not page.find("#unfinished").is_displayed()


def test_what_was_sent_of_a_film_is_deleted_when_it_is_not_wanted(broken_off: Page) -> None:
    assert films_of(broken_off) == ["uploading"]
    broken_off.click("#unfinished-list button:last-child")
    assert not broken_off.find("#unfinished").is_displayed()
    broken_off.until(lambda: films_of(broken_off) == [])
    broken_off.open()
    assert broken_off.run("return localStorage.getItem('streamseg.uploads')") == "[]"


def test_a_film_can_be_looked_through_while_it_is_made(page: Page, tmp_path: Path) -> None:
    page.choose(clips.video(tmp_path / "long.mp4", size=SIZE, frames=1500, code=False))
    page.shown("long.mp4")
    page.click("[name=background][value=colour]")
    page.click("#swatches [title=Blue]")
    page.click("#film-start-job")
    page.until(lambda: int(page.find("#film-preview-scrub").get_attribute("max")) >= 2, "no pictures come")
    set_value(page, "#film-preview-scrub", "1")
    page.until(lambda: page.run("const p = document.getElementById('film-preview-picture');"
                                "return p.src.endsWith('previews/1') && p.complete && p.naturalWidth > 0"))
    corner = page.run("""
        const picture = document.getElementById("film-preview-picture");
        const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        return [...context.getImageData(6, 120, 1, 1).data];""")
    assert max(abs(one - other) for one, other in zip(corner, (0x2b, 0x59, 0xc3, 255), strict=True)) <= 12
    page.click("#film-cancel")
    page.until(lambda: not page.find("#film-preview").is_displayed())
