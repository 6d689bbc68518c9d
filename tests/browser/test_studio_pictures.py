"""Pictures in the studio: chosen, dropped or pasted, looked at, changed, saved."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests import clips, stills

from .conftest import Page, answer, decoded

pytestmark = pytest.mark.slow
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
ActionChains, Keys = webdriver.ActionChains, webdriver.Keys

SIZE = (320, 240)
CORNER = (slice(40, 60), slice(4, 24))   # rows, columns of the room, beside the person and below the index code
ROOM = np.array(clips.BACKGROUND)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stills.image(tmp_path_factory.mktemp("pictures") / "person.png", size=SIZE, code=False)


@pytest.fixture
def opened(page: Page, picture: Path) -> Page:
    """The studio with the picture's cut-out on the stage."""
    page.choose(picture)
    page.shown("person.png")
    return page


def drag(page: Page, css: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse over an element, from one place to another as shares of its size."""
    element = page.find(css)
    page.run("arguments[0].scrollIntoView({block: 'center'})", element)
    width, height = element.size["width"], element.size["height"]
    first, last = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in (begin, end)]
    actions = ActionChains(page.driver, duration=20).move_to_element_with_offset(element, *first).click_and_hold()
    actions.move_by_offset(last[0] - first[0], last[1] - first[1]).release().perform()


def test_a_chosen_picture_shows_its_matte(opened: Page) -> None:
    matte = opened.matte()
    assert matte.shape == (SIZE[1], SIZE[0])
    assert clips.iou(matte > 127, clips.truth(0, SIZE)) > 0.95
    assert opened.text("#queue-count") == "1 of 1 done"


def test_that_nobody_was_found_is_told(opened: Page, tmp_path: Path) -> None:
    assert not opened.find("#nobody").is_displayed()
    assert cv2.imwrite(str(tmp_path / "empty.png"), np.full((64, 64, 3), 230, np.uint8))
    opened.choose(tmp_path / "empty.png")
    opened.until(lambda: "nobody was found" in opened.text("#queue"))
    opened.click("#queue li:nth-child(2) .pick")
    opened.shown("empty.png")
    assert opened.text("#nobody").startswith("Nobody was found here.")
    assert opened.text("#status") == "empty.png: nobody was found."
    opened.click("#queue li:nth-child(1) .pick")
    opened.shown("person.png")
    assert not opened.find("#nobody").is_displayed()


def test_the_slider_shows_more_or_less_of_the_original(opened: Page) -> None:
    def pixel(x: float) -> np.ndarray:
        """RGB as it is on the screen, at a share of the frame's width, in the room's height."""
        shot = decoded(opened.find("#frame").screenshot_as_png)
        return shot[shot.shape[0] // 6, round(x * shot.shape[1]), :3].astype(int)

    assert np.abs(pixel(0.25) - ROOM).max() <= 2     # left of the handle the original
    assert np.abs(pixel(0.9) - ROOM).max() > 8       # right of it transparency's squares
    opened.find("#split").send_keys(Keys.END)
    assert np.abs(pixel(0.9) - ROOM).max() <= 2
    opened.find("#split").send_keys(Keys.HOME)
    assert np.abs(pixel(0.25) - ROOM).max() > 8
    drag(opened, "#split", (0.01, 0.5), (0.8, 0.5))
    assert np.abs(pixel(0.6) - ROOM).max() <= 2


def test_the_download_is_the_bytes_that_the_api_answers(opened: Page, picture: Path) -> None:
    opened.click("#download")
    assert opened.downloaded("person.png") == answer(opened.address, picture)


def test_backgrounds_are_seen_and_saved_without_another_request(opened: Page, picture: Path) -> None:
    before = len(opened.server.requests)
    opened.click("[name=view][value=result]")
    assert opened.canvas("#after")[CORNER][..., 3].max() == 0
    opened.click("[name=background][value=colour]")
    opened.click("#swatches [title=Blue]")
    shown = opened.canvas("#after")
    assert (shown[CORNER] == (0x2b, 0x59, 0xc3, 255)).all()
    assert np.abs(shown[180, 160, :3].astype(int) - decoded(picture.read_bytes())[180, 160, :3]).max() <= 2
    opened.click("#download")
    assert (decoded(opened.downloaded("person.png")) == shown).all()
    opened.click("[name=background][value=blur]")
    assert np.abs(opened.canvas("#after")[CORNER][..., :3].astype(int) - ROOM).max() <= 3
    assert opened.canvas("#after")[..., 3].min() == 255
    assert opened.server.requests[before:] == []


def test_the_blurred_room_holds_nothing_of_the_person(opened: Page) -> None:
    opened.click("[name=view][value=result]")
    opened.click("[name=background][value=blur]")
    beside = ~clips.truth(0, (SIZE[0], SIZE[1]))
    shown = opened.canvas("#after")[..., :3].astype(int)
    # an ordinary blur carries the dark cloth 10 levels and more into the room around it
    room = beside & (opened.matte() == 0)
    assert np.percentile(np.abs(shown - ROOM).max(axis=2)[room], 99) <= 6


def test_a_picture_behind_the_person(opened: Page, tmp_path: Path) -> None:
    behind = stills.image(tmp_path / "behind.png", 3, (100, 100), code=True)
    opened.click("[name=view][value=result]")
    opened.click("[name=background][value=picture]")
    opened.find("#picture").send_keys(str(behind))
    opened.until(lambda: opened.text("#picture-name") == "behind.png")
    assert opened.canvas("#after")[..., 3].min() == 255


def test_not_that_and_this_too_change_the_matte_where_they_are_drawn(opened: Page) -> None:
    before = opened.matte().astype(int)
    opened.click("[name=tool][value=drop]")
    opened.click("#brush-edges")
    drag(opened, "#paint", (0.5, 0.6), (0.5, 0.9))
    dropped = opened.canvas("#after")[..., 0].astype(int)
    assert before[170, 160] == 255
    assert dropped[170, 160] == 0
    opened.click("[name=tool][value=keep]")
    drag(opened, "#paint", (0.05, 0.2), (0.05, 0.5))
    kept = opened.canvas("#after")[..., 0].astype(int)
    assert (dropped[84, 16], kept[84, 16]) == (0, 255)
    assert (kept[:, 60:120] == before[:, 60:120]).all()   # between the strokes nothing has changed
    drag(opened, "#paint", (0.5, 0.6), (0.5, 0.9))        # the last stroke holds
    assert opened.canvas("#after")[170, 160, 0] == 255
    opened.click("#undo-all")
    assert (opened.canvas("#after")[..., 0] == before).all()


def test_while_strokes_are_drawn_the_room_is_seen_faintly(opened: Page) -> None:
    """On the screen: what is to be added must be seen."""
    def room() -> np.ndarray:
        shot = decoded(opened.find("#frame").screenshot_as_png)
        return shot[shot.shape[0] // 5, :shot.shape[1] // 12, :3].reshape(-1, 3).mean(axis=0)

    opened.click("[name=background][value=colour]")
    opened.run("document.getElementById('colour').value = '#ffffff';"
               "document.getElementById('colour').dispatchEvent(new Event('input', { bubbles: true }))")
    opened.click("[name=tool][value=keep]")
    assert np.abs(room() - (255 + 0.35 * (ROOM - 255))).max() < 12
    opened.click("[name=view][value=result]")
    assert np.abs(room() - 255).max() < 3
    opened.click("[name=view][value=original]")
    assert np.abs(room() - ROOM).max() < 12


def test_a_stroke_follows_edges(opened: Page) -> None:
    """Drawn in the room along the person's side it takes nothing of the person."""
    opened.matte()
    opened.click("[name=tool][value=keep]")
    opened.run("document.getElementById('brush-size').value = 60")
    truth = clips.truth(0, SIZE)
    row = 170
    side = int(np.flatnonzero(truth[row])[0])
    opened.click("[name=tool][value=drop]")
    drag(opened, "#paint", ((side - 10) / SIZE[0], row / SIZE[1]), ((side - 11) / SIZE[0], (row + 8) / SIZE[1]))
    assert opened.canvas("#after")[row, side + 6, 0] == 255


def test_strokes_are_drawn_with_the_keyboard(opened: Page) -> None:
    opened.matte()
    opened.click("[name=tool][value=drop]")
    paint = opened.find("#paint")
    paint.send_keys(Keys.ARROW_UP, " ")
    opened.until(lambda: opened.find("#undo").is_enabled())
    assert opened.canvas("#after")[:, 150:170, 0].min() == 0
    opened.click("#undo")
    assert not opened.find("#undo").is_enabled()


def test_outside_the_region_all_is_background(opened: Page) -> None:
    before = opened.matte()
    opened.click("[name=tool][value=region]")
    drag(opened, "#paint", (0.0, 0.5), (0.5, 1.0))
    inside = opened.canvas("#after")[..., 0]
    assert inside[:115].max() == 0
    assert inside[:, 165:].max() == 0
    assert (inside[125:, :155] == before[125:, :155]).all()
    width = opened.find("#region [name=width]")
    width.clear()
    width.send_keys("25", Keys.TAB)
    assert opened.canvas("#after")[:, 85:, 0].max() == 0
    opened.click("#region-clear")
    assert (opened.canvas("#after")[..., 0] == before).all()


def test_many_pictures_and_a_broken_one_come_in_one_zip(page: Page, tmp_path: Path) -> None:
    good = [stills.image(tmp_path / f"person-{number}.png", number, SIZE, code=False) for number in range(3)]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"this is no picture")
    page.choose(*good, broken)
    page.until(lambda: page.text("#queue-count") == "3 of 4 done" and page.all("#queue [data-state=failed]"))
    assert "broken.jpg" in page.text("#queue [data-state=failed]")
    assert page.find("#queue [aria-label='Try broken.jpg again']").is_displayed()
    assert [entry for entry in page.log() if "status of 415" not in entry] == []
    page.click("#download-all")
    with zipfile.ZipFile(io.BytesIO(page.downloaded("streamseg.zip"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [file.name for file in good]
        assert archive.read("person-1.png") == answer(page.address, good[1])


def test_of_a_picture_that_cannot_be_shown_nothing_of_the_one_before_is_seen(opened: Page, tmp_path: Path) -> None:
    opened.click("[name=tool][value=keep]")
    drag(opened, "#paint", (0.05, 0.3), (0.1, 0.3))
    assert opened.canvas("#after")[..., 3].any()
    assert opened.canvas("#before")[..., 3].any()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"this is no picture")
    opened.choose(broken)
    opened.until(lambda: opened.all("#queue [data-state=failed]"))
    opened.click("#queue [data-state=failed] .pick")
    opened.until(lambda: opened.text("#stage-title") == "broken.jpg" and opened.all("#busy.failed"))
    for css in ("#after", "#before"):
        assert not opened.canvas(css)[..., 3].any(), css
    for css in ("#download", "#undo", "#undo-all", "#region input"):
        assert not opened.find(css).is_enabled(), css   # they would work on what is not there
    opened.click("#queue [data-state=done] .pick")
    opened.shown("person.png")
    assert opened.canvas("#after")[..., 3].any()
    assert opened.find("#undo").is_enabled()
    assert [entry for entry in opened.log() if "status of 415" not in entry] == []


def test_the_focus_is_not_lost_where_a_button_goes(opened: Page) -> None:
    opened.run("""document.getElementById("download").focus()""")
    opened.find("#download").send_keys(Keys.ENTER)
    opened.downloaded("person.png")
    opened.until(lambda: opened.run("return document.activeElement.id") == "download")
    opened.click("[name=tool][value=drop]")
    drag(opened, "#paint", (0.4, 0.4), (0.5, 0.4))
    opened.find("#undo").send_keys(Keys.ENTER)
    assert not opened.find("#undo").is_enabled()
    assert opened.run("return document.activeElement.id") == "paint"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page: Page, picture: Path, way: str) -> None:
    page.run("""
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        data.items.add(new File([bytes], "person.png", { type: "image/png" }));
        const event = arguments[1] === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.getElementById("main").dispatchEvent(event);""",
             base64.b64encode(picture.read_bytes()).decode(), way)
    page.shown("person.png")


def test_what_is_removed_is_gone_and_the_next_one_is_shown(page: Page, tmp_path: Path) -> None:
    files = [stills.image(tmp_path / f"person-{number}.png", number, SIZE) for number in range(2)]
    page.choose(*files)
    page.shown("person-0.png")
    page.until(lambda: page.text("#queue-count") == "2 of 2 done")
    page.click("#queue [aria-label='Remove person-0.png']")
    page.shown("person-1.png")
    assert page.run("return document.activeElement.className") == "pick"
    page.click("#clear")
    assert not page.find("#stage").is_displayed()
