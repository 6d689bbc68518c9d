"""The page as a whole: what it loads, how it is used without a mouse, how it fits, and that it rests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streamseg.serve.live.virtual import Device, VirtualCameras
from streamseg.serve.studio import POLICY, STATIC
from tests import clips, stills

from .conftest import Page, resize

pytestmark = pytest.mark.slow
Keys = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'").Keys

WIDTHS = (390, 768, 1440)
# Counts what would wake the processor: timers that wait, and every one that was set to repeat
WATCH = """
    window.waiting = new Set(); window.repeating = 0;
    const after = window.setTimeout, stop = window.clearTimeout;
    window.setTimeout = (work, ...rest) => { const id = after(() => { waiting.delete(id); work(); }, ...rest);
      waiting.add(id); return id; };
    window.clearTimeout = (id) => { waiting.delete(id); stop(id); };
    window.setInterval = () => { repeating += 1; };
    const next = window.requestAnimationFrame;
    window.requestAnimationFrame = (work) => { const id = next((now) => { waiting.delete("f" + id); work(now); });
      waiting.add("f" + id); return id; };"""


@pytest.fixture(params=["empty", "picture", "film", "live"])
def state(request: pytest.FixtureRequest, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page in each of its main states; the server's machine has two virtual cameras."""
    if request.param == "picture":
        page.choose(stills.image(tmp_path / "a person with quite a long name, as cameras give.png"))
        page.shown("a person with quite a long name, as cameras give.png")
        page.click("[name=background][value=colour]")
        page.click("[name=tool][value=keep]")
    elif request.param == "film":
        page.choose(clips.video(tmp_path / "film.mp4", frames=5))
        page.shown("film.mp4")
    elif request.param == "live":
        there = [Device(f"video{number}", f"a virtual camera with quite a long name, {number}", f"/dev/video{number}")
                 for number in (20, 21)]
        monkeypatch.setattr(page.cameras, "virtual", VirtualCameras(lambda: there))
        page.click("#tab-live")
        page.until(lambda: page.find("#live-virtual-row").is_displayed())
    return page


def findings(page: Page, axe: str) -> list[str]:
    """axe's serious and critical findings."""
    page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = page.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ["violations"] })
          .then((all) => done(all.violations), (error) => done(String(error)));""")
    assert isinstance(found, list), found
    return [f"{item['id']}: {item['help']}: {[node['html'][:120] for node in item['nodes']]}"
            for item in found if item["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(state: Page, axe: str, scheme: str) -> None:
    state.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                 {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    assert findings(state, axe) == []


def test_axe_would_find_something(page: Page, axe: str) -> None:
    page.run("document.getElementById('choose').append(document.createElement('img'));"
             "document.getElementById('main').append(document.createElement('button'))")
    assert any(item.startswith("button-name") for item in findings(page, axe))


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(state: Page, width: int) -> None:
    resize(state.driver, width, 844)
    assert state.run("return document.documentElement.scrollWidth") == width
    outside = state.run("""
        return [...document.querySelectorAll("button, input, select, label, canvas, p, span")].filter((one) => {
          const box = one.getBoundingClientRect();
          return one.checkVisibility() && box.width > 1 && (box.left < -1 || box.right > innerWidth + 1)
            && !one.closest(".skip");
        }).map((one) => one.outerHTML.slice(0, 100));""")
    assert outside == []


def test_every_control_has_a_name_and_is_large_enough_for_a_finger(state: Page) -> None:
    resize(state.driver, 390, 844)
    small = state.run("""
        return [...document.querySelectorAll("button, select, input")].filter((one) => one.checkVisibility())
          .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
          .filter(([one, box]) => box.width > 1 && one.type !== "range" && (box.width < 24 || box.height < 24))
          .map(([one]) => one.outerHTML.slice(0, 100));""")
    assert small == []


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    loaded = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert len(loaded) > 5
    assert [name for name in loaded if not name.startswith(page.address)] == []
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|\bimport\(", text), file.name


def test_the_policy_forbids_what_is_not_the_pages_own(page: Page) -> None:
    assert "default-src 'none'" in POLICY
    page.run("""
        window.ran = false;
        const script = document.createElement("script");
        try { script.textContent = "window.ran = true"; document.body.append(script); } catch (error) {}
        const image = document.createElement("img");
        image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
        document.body.append(image);""")
    assert page.run("return window.ran") is False
    told = page.until(page.log, "the console says nothing of the policy")
    assert any("Content Security Policy" in line or "TrustedScript" in line for line in told)
    page.open()  # and leaves nothing of it for the check at the end
    page.log()


def test_an_open_page_that_does_nothing_costs_nothing(page: Page, tmp_path: Path) -> None:
    added = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    try:
        page.open()
        page.choose(stills.image(tmp_path / "person.png"))
        page.shown("person.png")
        page.until(lambda: page.run("return waiting.size === 0"), "a timer waits for ever")
        assert page.run("return repeating") == 0
        # nothing is left that could begin anything: no timer, no frame of the screen, no animation, no open answer
        assert page.run("return document.getAnimations().length") == 0
        assert page.server.open == 0
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_the_page_is_used_with_the_keyboard_alone(page: Page, tmp_path: Path) -> None:
    page.find("#tab-files").send_keys(Keys.ARROW_RIGHT)
    assert page.find("#tab-live").get_attribute("aria-selected") == "true"
    assert page.find("#panel-live").is_displayed()
    page.find("#tab-live").send_keys(Keys.ARROW_LEFT)
    page.choose(stills.image(tmp_path / "person.png"))
    page.shown("person.png")
    seen = _tabbed(page)
    for wanted in ("choose", "choose-folder", "download-all", "clear", "split", "download", "format", "view:compare",
                   "tool:look", "background:none"):
        assert wanted in seen
    page.find("[name=background]:checked").send_keys(Keys.ARROW_RIGHT)
    assert page.find("[name=background]:checked").get_attribute("value") == "blur"


def _tabbed(page: Page) -> list[str]:
    """What the Tab key comes by, once through the page; each shows where the focus is."""
    page.run("document.getElementById('main').focus()")
    seen: list[str] = []
    for _ in range(60):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        name, outlined = page.run("""
            const at = document.activeElement;
            const marked = [at, at.nextElementSibling, document.querySelector(".handle")].filter(Boolean)
              .flatMap((one) => [getComputedStyle(one), getComputedStyle(one, "::after")]);
            return [at.type === "radio" ? `${at.name}:${at.value}` : at.id || at.className || at.tagName,
                    marked.some((style) => style.outlineStyle !== "none")];""")
        if name in (*seen[:1], "BODY"):
            break
        assert outlined, f"the focus does not show on {name}"
        seen.append(name)
    return seen


def test_a_screen_reader_is_told_what_happens(page: Page, tmp_path: Path) -> None:
    status: Any = page.find("#status")
    assert (status.get_attribute("role"), page.find("#alerts").get_attribute("role")) == ("status", "alert")
    page.choose(stills.image(tmp_path / "person.png"))
    page.shown("person.png")
    page.until(lambda: "person.png" in page.run("return arguments[0].textContent", status))
    page.choose(Path(__file__))
    page.until(lambda: "Neither pictures nor films: test_studio_page.py" in page.text("#alerts"))
    page.click("[aria-label='Close this message']")
    assert page.text("#alerts") == ""


def test_the_wheel_holds_all_that_the_page_names() -> None:
    names = {path.name for path in STATIC.iterdir()}
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:href|src)="studio/([^"]+)"', page))
    for path in STATIC.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")))
    assert named | {"index.html"} == names
    assert json.dumps(sorted(names))  # plain names, all in one folder
