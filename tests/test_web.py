"""Status page, health and metrics over real HTTP: reading only, true, safe against what is in the database."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from syncd.errors import ConfigurationError
from syncd.metrics import METRICS
from syncd.pulse import Silence
from syncd.settings import DataCiteSettings, WebSettings
from syncd.snapshot import Board, DaemonState
from syncd.store import Store
from syncd.store.runs import BY_HAND
from syncd.web.markup import element, prose
from syncd.web.server import serving
from tests.large_state import HOSTILE
from tests.site import Site


def stated(accounts: tuple[str, ...]) -> DaemonState:
    """What a daemon that is well says of itself."""
    now = datetime.now(UTC)
    return DaemonState(
        accounts=accounts, working=True, ready=True, turning=True, stuck=None, troubles={},
        looked=dict.fromkeys(accounts, now), reload_error="", started_at=now - timedelta(hours=3), next_due=1.0,
        requests={(accounts[0], "PUT", "200"): 7, (accounts[0], "PUT", "no_answer"): 1},
    )  # fmt: skip


class Page:
    """A board with its server; what the daemon says of itself can be changed."""

    def __init__(self, store: Store, accounts: tuple[str, ...], **settings: Any) -> None:
        self.state = stated(accounts)
        self.board = Board(store, DataCiteSettings(), lambda: self.state)
        self._stack = ExitStack()
        self.port = self._stack.enter_context(serving(WebSettings(listen="127.0.0.1:0", **settings), self.board))

    def close(self) -> None:
        self._stack.close()

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)

    def state_is(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    site.add(1)
    site.add(2, titles=[{"title": HOSTILE}], creators=[])
    site.sync()
    made = Page(site.store, (site.account,))
    yield made
    made.close()


def test_the_page_shows_the_sum_with_its_parts_and_what_failed(page: Page) -> None:
    status, text, _ = page.ask("/")

    assert status == 200
    assert "1 DOI failed" in text
    assert "2 wanted = 1 in sync + 0 pending + 1 quarantined + 0 excluded + 0 foreign" in text
    assert "metadata_invalid" in text
    assert "Correct the record in the platform" in text


def test_a_doi_is_found_with_its_history_and_a_part_of_one_finds_those_that_begin_so(page: Page) -> None:
    status, text, _ = page.ask("/doi?q=https://doi.org/10.5072/R1")
    assert status == 200
    assert "in sync" in text
    assert "new: all 21 attributes" in text

    status, text, _ = page.ask("/doi?q=10.5072/r")
    assert status == 404
    assert 'href="/doi?q=10.5072%2Fr1"' in text
    assert page.ask("/doi")[0] == 404
    assert page.ask("/doi?q=%25")[1].count("/doi?q=") == 0


@pytest.mark.parametrize("path", ["/", "/doi?q=10.5072/r2", "/doi?q=" + "%3Cscript%3Ealert(1)%3C/script%3E"])
def test_nothing_that_a_record_holds_becomes_markup(page: Page, path: str) -> None:
    _, text, headers = page.ask(path)

    assert "<script>" not in text
    assert "<img" not in text
    assert [attributes for tag, attributes in _tags(text) if tag == "script"] == [{"src": "/page.js", "defer": None}]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_text_stays_text_in_content_and_in_attributes(content: str, attribute: str) -> None:
    markup = element("p", content, prose(content.replace("`", "'")), title=attribute)

    tags = _tags(markup)
    assert [tag for tag, _ in tags] == ["p"]
    read = tags[0][1]["title"] or ""
    assert _same(read, attribute)


def _same(read: str, written: str) -> bool:
    """A parser of HTML reads one kind of line end."""
    return read.replace("\r\n", "\n").replace("\r", "\n") == written.replace("\r\n", "\n").replace("\r", "\n")


def _tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    parser = Parser()
    parser.feed(text)
    parser.close()
    return found


def test_only_reading_is_answered(page: Page) -> None:
    assert [page.ask("/", method)[0] for method in ("POST", "PUT", "DELETE")] == [405, 405, 405]
    status, text, headers = page.ask("/healthz", "HEAD")
    assert (status, text) == (200, "")
    assert headers["content-type"] == "application/json"


def test_a_name_that_is_not_ours_is_refused_on_loopback_unless_configured(site: Site, page: Page) -> None:
    assert page.ask("/", Host="evil.example")[0] == 400
    assert page.ask("/", Host=f"localhost:{page.port}")[0] == 200

    behind_a_proxy = Page(site.store, (site.account,), hosts=["syncd.example.org"])
    assert behind_a_proxy.ask("/", Host="syncd.example.org")[0] == 200
    assert behind_a_proxy.ask("/", Host="evil.example")[0] == 400
    behind_a_proxy.close()


def test_no_secret_is_on_any_page(page: Page, site: Site) -> None:
    for path in ("/", "/status.json", "/metrics", "/readyz", "/healthz", "/doi?q=10.5072/r1"):
        text = page.ask(path)[1]
        assert "password" not in text.replace("/password", "")
        assert '"demo"' not in text
        assert site.platform_url not in text


def test_health_is_about_this_process_and_readiness_about_its_work(page: Page, site: Site) -> None:
    assert (page.ask("/healthz")[0], page.ask("/readyz")[0]) == (200, 200)

    page.state_is(troubles={site.account: ("away", "look", datetime.now(UTC))})
    assert (page.ask("/healthz")[0], page.ask("/readyz")[0]) == (200, 503)
    assert json.loads(page.ask("/readyz")[1])["problem"] == "away"

    page.state_is(troubles={}, ready=False)
    assert (page.ask("/healthz")[0], page.ask("/readyz")[0]) == (200, 503)

    page.state_is(ready=True, working=False)
    assert json.loads(page.ask("/readyz")[1]) == {"ok": True, "role": "stands by", "problem": ""}

    page.state_is(stuck=Silence("send X", 99.0))
    assert page.ask("/healthz")[0] == 503
    page.state_is(stuck=None, turning=False)
    assert page.ask("/healthz")[0] == 503


def test_without_the_state_database_the_page_says_so_and_the_metrics_too(site: Site, page: Page) -> None:
    other = Page(Store.open(f"sqlite:///{site.folder}/away/state.db"), (site.account,))
    status, text, _ = other.ask("/", Accept="text/html")
    assert status == 503
    assert "the state database cannot be used" in text
    assert other.ask("/readyz")[0] == 503
    assert other.ask("/healthz")[0] == 200
    assert "syncd_state_database_up 0.0" in other.ask("/metrics")[1]
    other.close()


def test_pauses_and_troubles_stand_above_everything_once_for_many_accounts(site: Site) -> None:
    accounts = tuple(f"X.A{number:02}" for number in range(40))
    site.store.runs.pause("X.A01", BY_HAND, "maintenance", lambda _attempts: None)
    made = Page(site.store, accounts)
    since = datetime.now(UTC)
    made.state_is(troubles={name: (f"{name}: the platform is away", "check it", since) for name in accounts})
    text = made.ask("/")[1]
    made.close()

    assert "X.A01 paused (by_hand): maintenance" in text
    assert text.count("the platform is away") == 1
    assert "X.A00 and 39 more" in text


def test_the_metrics_are_exactly_those_that_are_described_and_no_label_is_a_doi(page: Page) -> None:
    page.state_is(requests={("A.B", "PUT", "200"): 3})
    text = page.ask("/metrics")[1]
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    named = {f"{one.name}" for one in samples if one.name.startswith("syncd_")}

    assert named <= set(METRICS)
    assert {"syncd_dois", "syncd_requests_total", "syncd_failures", "syncd_build_info", "syncd_slots_in_use"} <= named
    for one in samples:
        if one.name in METRICS:
            assert set(one.labels) == {label for label in METRICS[one.name][0].split(", ") if label}, one.name
            assert not any("10.5072" in value for value in one.labels.values())
    described = {family.name for family in text_string_to_metric_families(text)}
    assert {name.removesuffix("_total") for name in METRICS} <= described
    total = sum(one.value for one in samples if one.name == "syncd_dois")
    assert total == 2


def test_an_address_that_is_taken_is_refused_with_the_setting_to_change(page: Page, site: Site) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot listen on") as refused,
        serving(WebSettings(listen=f"127.0.0.1:{page.port}"), page.board),
    ):
        pass
    assert "web.listen" in refused.value.hint


def test_off_listens_nowhere(page: Page) -> None:
    with serving(WebSettings(listen="off"), page.board) as port:
        assert port is None


def test_what_the_page_loads_lies_beside_it(page: Page) -> None:
    loaded = {
        address
        for tag, attributes in _tags(page.ask("/")[1])
        if tag in ("link", "script", "img")
        for address in (attributes.get("src") or attributes.get("href"),)
        if address
    }

    assert loaded == {"data:,", "/style.css", "/page.js"}
    for address in ("/style.css", "/page.js"):
        status, text, _ = page.ask(address)
        assert status == 200
        assert "url(" not in text
        assert "http" not in text


def test_an_account_that_rests_is_not_ready_and_one_of_several_is(site: Site, page: Page) -> None:
    site.store.runs.pause(site.account, "credentials", "the password is wrong", lambda _attempts: timedelta(hours=1))
    assert page.ask("/healthz")[0] == 200
    assert json.loads(page.ask("/readyz")[1])["problem"] == "the password is wrong"

    page.state_is(accounts=(site.account, "X.Y"))
    assert page.ask("/readyz")[0] == 200
