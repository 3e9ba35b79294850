"""The status page in a real browser, with 150 accounts, 200,000 DOIs and 3,000 failures.

``SYNCD_TEST_SCREENSHOTS`` may name a folder for what it looks like.
"""

import os
import statistics
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from syncd.settings import DataCiteSettings, WebSettings
from syncd.snapshot import Board, DaemonState
from syncd.store import Store
from syncd.web.server import serving
from tests.large_state import HOSTILE, fill
from tests.programs import needed

_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('large')}/state.db")
    names = fill(store)
    now = datetime.now(UTC)
    troubles = {names[11]: ("the platform's database cannot be read: refused", "check source.url", now)}
    state = DaemonState(
        accounts=tuple(names), working=True, ready=True, turning=True, stuck=None, troubles=troubles,
        looked=dict.fromkeys(names, now), reload_error="", started_at=now - timedelta(days=40),
        next_due=1.0, requests={},
    )  # fmt: skip
    board = Board(store, DataCiteSettings(), lambda: state)
    for _ in range(3):
        board.sample()
    with serving(WebSettings(listen="127.0.0.1:0"), board) as port:
        yield f"http://127.0.0.1:{port}"
    store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = needed("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(_QUIET))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda message: mistakes.append(message.text) if message.type == "error" else None)
    page.goto(address)
    yield page
    context.close()
    assert mistakes == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window_and_text_stands_out(
    browser: Browser, address: str, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={**_PHONE, "width": width}, color_scheme=scheme)
    page = context.new_page()
    for path in ("/", "/doi?q=10.5072/r0"):
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for tone in (".verdict", ".soft", "td", "a"):
            assert _contrast(page, tone) >= 4.5, (path, tone)
        folder = os.environ.get("SYNCD_TEST_SCREENSHOTS")
        if folder:
            page.screenshot(path=Path(folder) / f"{scheme}-{width}{path.split('?')[0].replace('/', '-')}.png")
    context.close()


def _contrast(page: Page, selector: str) -> float:
    """WCAG's ratio of a text's colour to what is behind it."""
    found = page.evaluate(
        """(selector) => {
            const one = document.querySelector("main " + selector);
            if (!one) return 21;
            const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
            let behind = one, back;
            do { back = rgb(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
            while (behind && back.length === 4 && back[3] === 0);
            const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255;
                return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
                .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
            const [a, b] = [light(rgb(getComputedStyle(one).color)), light(back)].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }""",
        selector,
    )
    return float(found)


def test_the_first_byte_comes_in_under_200_ms_at_the_median(address: str) -> None:
    waited = []
    for _ in range(30):
        began = time.monotonic()
        with urllib.request.urlopen(address, timeout=10) as answer:
            answer.read(1)
        waited.append(time.monotonic() - began)

    assert statistics.median(waited) < 0.2, waited


def test_no_request_leaves_the_host_of_the_page(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.goto(f"{address}/doi?q=10.5072/r0")
    context.close()

    assert len(asked) >= 4
    assert [one for one in asked if not one.startswith((address, "data:"))] == []


def test_a_hostile_title_is_shown_as_text_and_does_nothing(page: Page, address: str) -> None:
    page.goto(f"{address}/doi?q=10.5072/r0")

    assert HOSTILE in page.locator("main").inner_text()
    assert page.title() == "10.5072/r0 · syncd"
    assert page.locator("main img").count() == 0


def test_everything_can_be_reached_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "q"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.parentElement.id") == "cause-refused":
            break
    assert not page.evaluate("document.getElementById('cause-refused').open")
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('cause-refused').open")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/doi?q=*")

    page.locator("#q").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("10.5072/r7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/doi?q=10.5072%2Fr7")
    assert page.locator(".verdict").inner_text() == "10.5072/r7"


def test_the_page_renews_itself_and_what_was_open_stays_open(page: Page) -> None:
    page.locator("#cause-refused summary").click()
    page.locator("#q").fill("10.5072/half-typ")
    page.evaluate("document.querySelector('.verdict').textContent = 'old'")
    page.evaluate("renew()")
    page.wait_for_function("document.querySelector('.verdict').textContent !== 'old'")

    assert page.evaluate("document.getElementById('cause-refused').open")
    assert page.locator("#q").input_value() == "10.5072/half-typ"


def test_old_numbers_look_old_when_the_daemon_is_gone(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.route("**/*", lambda route: route.abort())
    page.evaluate("renew()")
    page.wait_for_selector("main.old")
    page.unroute("**/*")
    page.evaluate("renew()")
    page.wait_for_selector("main:not(.old)")
    context.close()
