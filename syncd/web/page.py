"""The status page: what an operator leaves open. Pure: a snapshot and what the daemon says of itself become HTML."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import quote

from syncd import __version__
from syncd.causes import CAUSES, action_of, sentence_of
from syncd.drift import KINDS
from syncd.snapshot import DaemonState, Snapshot
from syncd.store.facts import LANE_BACKFILL, LANE_STATE
from syncd.store.reading import BUCKETS, FailureGroup, Sum
from syncd.store.runs import BY_HAND, HOST, Pause
from syncd.web.markup import Child, Html, document, element, prose
from syncd.web.picture import shares, window_use
from syncd.words import ago, counted, duration

_SHOWN_AT_ONCE = 20
_NOTICES, _ACCOUNTS, _FEW = 6, 25, 5


def status_page(snapshot: Snapshot, state: DaemonState) -> bytes:
    """The whole page."""
    return frame(
        "syncd",
        _verdict(snapshot, state),
        _notices(snapshot, state),
        element("div", _window(snapshot), _in_flight(snapshot), class_="columns"),
        _mass(snapshot),
        _failures(snapshot.failures),
        _accounts(snapshot, state),
        _drift(snapshot),
        element(
            "footer",
            element("p", f"syncd {__version__}, running for {ago(state.started_at, snapshot.at)}; numbers as of ",
                    element("time", snapshot.at.strftime("%Y-%m-%d %H:%M:%S UTC")), ". ",
                    element("a", "metrics", href="/metrics"), " · ", element("a", "JSON", href="/status.json")),
        ),
        renew=True,
    )  # fmt: skip


def frame(title: str, *content: Child, query: str = "", renew: bool = False) -> bytes:
    """A page of ours around its content."""
    search = element(
        "form",
        element("input", type="search", name="q", id="q", value=query, placeholder="10.5072/…", required=True,
                aria_label="Search for a DOI", autocomplete="off", spellcheck="false"),
        element("button", "Find"),
        action="/doi",
        role="search",
    )  # fmt: skip
    return document(
        title,
        element("a", "To the content", href="#content", class_="skip"),
        element("header", element("h1", element("a", "syncd", href="/")), search),
        element("main", *content, id="content", data_renew="1" if renew else None),
    )


# What matters first.


def _verdict(snapshot: Snapshot, state: DaemonState) -> Child:
    total = snapshot.total
    if state.stuck is not None:
        words, tone = f"A worker is stuck: {state.stuck.what}", "bad"
    elif any(one.cause != BY_HAND for one in snapshot.pauses) or state.troubles:
        words, tone = "Something waits for you", "bad"
    elif total.quarantined:
        words, tone = f"{counted(total.quarantined, 'DOI')} failed and need a correction", "warn"
    elif total.pending:
        words, tone = f"{counted(total.pending, 'DOI')} on the way to DataCite", "work"
    else:
        words, tone = f"All {total.wanted:,} DOIs are as they should be", "good"
    role = "" if state.working else "This process stands by; another one works. "
    oldest = (
        ""
        if total.oldest_change is None
        else f" The oldest unsent change is {ago(total.oldest_change, snapshot.at)} old."
    )
    sentence = (
        f"{role}{total.wanted:,} wanted = {total.in_sync:,} in sync + {total.pending:,} pending"
        f" + {total.quarantined:,} quarantined + {total.excluded:,} excluded + {total.foreign:,} foreign.{oldest}"
    )
    return element("p", words, class_=f"verdict {tone}"), element("p", sentence)


def _notices(snapshot: Snapshot, state: DaemonState) -> list[Html]:
    found = [_pause(one, snapshot.at) for one in snapshot.pauses]
    found += [_notice(words, hint, since, snapshot.at) for words, hint, since in _alike(state)]
    if state.reload_error:
        found.append(_notice(f"The configuration was not reloaded: {state.reload_error}", "`syncd check-config`", None))
    more = len(found) - _NOTICES
    if more <= 0:
        return found
    rest = element("details", element("summary", f"and {more} more"), found[_NOTICES:], id="more-notices")
    return [*found[:_NOTICES], element("section", rest, class_="notice")]


def _alike(state: DaemonState) -> list[tuple[str, str, datetime]]:
    """The accounts' troubles; one that many have, as when their database is away, is told once."""
    by_words: dict[tuple[str, str], list[str]] = {}
    for name, (message, hint, _) in sorted(state.troubles.items()):
        by_words.setdefault((message.replace(name, "…"), hint.replace(name, "…")), []).append(name)
    found = []
    for (message, hint), names in by_words.items():
        first = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        since = min(state.troubles[name][2] for name in names)
        found.append((f"{first}: {message.replace('…', names[0])}", hint.replace("…", names[0]), since))
    return found


def _pause(pause: Pause, now: datetime) -> Html:
    cause = CAUSES.get(pause.cause)
    next_step = cause.action if cause else "`syncd resume`"
    again = "" if pause.until is None else f" One request tries again at {pause.until:%H:%M:%S} UTC."
    scope = "All accounts" if pause.scope == HOST else pause.scope
    tone = "notice warn" if pause.cause == BY_HAND else "notice"
    message = pause.message.removeprefix(f"{pause.scope}: ")
    return _notice(f"{scope} paused ({pause.cause}): {message}", f"{next_step}{again}", pause.since, now, tone)


def _notice(words: str, hint: str, since: datetime | None, now: datetime | None = None, tone: str = "notice") -> Html:
    when = element("span", f" for {ago(since, now)}", class_="soft") if since else None
    first = element("p", element("strong", words), when)
    return element("section", first, element("p", "→ ", prose(hint)), class_=tone)


# The window and what is in it.


def _window(snapshot: Snapshot) -> Html:
    use = f"{snapshot.slots_used:,} of {snapshot.slots_total:,} slots in use"
    return element(
        "section",
        element("h2", "Request window ", element("span", use, class_="soft")),
        window_use(snapshot.used, snapshot.slots_total, snapshot.at),
        element("div", element("span", "an hour ago"), element("span", "now"), class_="axis"),
    )  # fmt: skip


def _in_flight(snapshot: Snapshot) -> Html:
    rows = [
        (
            ("doi", doi_link(one.doi)),
            ("", f"to be {one.wanted}" + (", mass work" if one.lane == LANE_BACKFILL else "")),
            ("", f"changed {ago(one.changed_at, snapshot.at)} ago" if one.changed_at else ""),
        )
        for one in snapshot.in_flight[:8]
    ]
    more = len(snapshot.in_flight) - len(rows)
    content: Child = (
        table(("DOI", "state", "since"), rows) if rows else element("p", "Nothing at this moment.", class_="soft")
    )
    rest = element("p", f"and {more} more", class_="soft") if more > 0 else None
    return element("section", element("h2", "Being sent now"), content, rest)


def _mass(snapshot: Snapshot) -> Html | None:
    if not snapshot.mass:
        return None
    mass = sorted(snapshot.mass.items(), key=lambda item: -item[1].left)
    rows = [
        (
            ("name", account),
            ("number", one.left),
            ("number", f"{one.rate:.1f} a second"),
            ("number", "not known yet" if one.seconds_left is None else duration(one.seconds_left)),
        )
        for account, one in mass[:_SHOWN_AT_ONCE]
    ]
    total = sum(one.left for _, one in mass)
    words = f"{counted(total, 'DOI')} left in {counted(len(mass), 'account')}"
    heads = ("account", "left", "rate", "time left")
    return element(
        "section",
        element("h2", "Backfill ", element("span", words, class_="soft")),
        element("details", element("summary", "by account"), table(heads, rows, numbers=heads[1:]), id="backfill")
        if len(mass) > _FEW
        else table(heads, rows, numbers=heads[1:]),
    )


# What failed.


def _failures(groups: Sequence[FailureGroup]) -> Html | None:
    if not groups:
        return None
    by_cause: dict[str, list[FailureGroup]] = {}
    for group in groups:
        by_cause.setdefault(group.cause, []).append(group)
    causes = sorted(by_cause.items(), key=lambda item: -sum(one.count for one in item[1]))
    total = sum(group.count for group in groups)
    return element(
        "section",
        element("h2", "Failures ", element("span", counted(total, "DOI"), class_="soft")),
        [_cause(word, mine) for word, mine in causes],
    )


def _cause(word: str, groups: Sequence[FailureGroup]) -> Html:
    count = sum(one.count for one in groups)
    waits = sum(one.quarantined for one in groups)
    largest = sorted(groups, key=lambda one: -one.count)
    examples = [(name, words) for one in largest for name, words in one.examples][:_SHOWN_AT_ONCE]
    named = ", ".join(f"{one.account} {one.count:,}" for one in largest[:_SHOWN_AT_ONCE])
    if len(largest) > _SHOWN_AT_ONCE:
        named += f" and {len(largest) - _SHOWN_AT_ONCE} more accounts"
    return element(
        "details",
        element("summary", element("strong", count), " × ", element("code", word), f" {sentence_of(word)}"),
        element("p", "→ ", prose(action_of(word))),
        element("p", "They wait for a change." if waits else "They are tried again by themselves.", class_="soft"),
        element("ul", [
            element("li", doi_link(name), " ", words) for name, words in examples
        ]),
        element("p", named, class_="soft"),
        id=f"cause-{word}",
    )  # fmt: skip


# The accounts.

_HEADS = ("account", "wanted", "in sync", "pending", "quarantined", "excluded", "foreign", "oldest unsent", "last look")


def _accounts(snapshot: Snapshot, state: DaemonState) -> Html:
    paused = {pause.scope for pause in snapshot.pauses}

    def urgency(one: Sum) -> tuple[bool, bool, bool, str]:
        return (
            one.account not in state.troubles and one.account not in paused,
            not one.quarantined,
            not one.pending,
            one.account,
        )

    rows = [_account(one, snapshot, state, paused) for one in sorted(snapshot.sums, key=urgency)]
    total = snapshot.total if len(snapshot.sums) > 1 else None
    foot = (
        None
        if total is None
        else [(("name", f"{len(snapshot.sums)} accounts"), *_counts(total), ("none", ""), ("none", ""))]
    )
    shown, more = rows[:_ACCOUNTS], rows[_ACCOUNTS:]
    rest = None
    if more:
        summary = element("summary", f"and {counted(len(more), 'account')} more")
        rest = element("details", summary, table(_HEADS, more, numbers=_HEADS[1:7]), id="more-accounts")
    first = table(_HEADS, shown, foot=foot, numbers=_HEADS[1:7])
    return element("section", element("h2", "Accounts"), first, rest)


def _account(one: Sum, snapshot: Snapshot, state: DaemonState, paused: set[str]) -> "Row":
    mark = None
    if one.account in state.troubles:
        mark = element("span", " in trouble", class_="bad")
    elif one.account in paused:
        mark = element("span", " paused", class_="warn")
    urgent = snapshot.lanes.get((one.account, LANE_STATE), 0)
    bar = shares([(bucket, getattr(one, bucket)) for bucket in BUCKETS])
    looked = state.looked.get(one.account)
    return (
        ("name", (one.account, mark, bar)),
        *_counts(one, urgent),
        ("none" if one.oldest_change is None else "", ago(one.oldest_change, snapshot.at)),
        ("none" if looked is None else "", "-" if looked is None else f"{ago(looked, snapshot.at)} ago"),
    )


def _counts(one: Sum, urgent: int = 0) -> list["Cell"]:
    cells: list[Cell] = [("number", one.wanted)]
    for bucket in BUCKETS:
        count = getattr(one, bucket)
        tone = {"quarantined": " bad", "pending": " work"}.get(bucket, "") if count else " none"
        words: Child = count
        if bucket == "pending" and urgent:
            words = (count, element("span", f" ({urgent:,} change state)", class_="soft"))
        cells.append((f"number{tone}", words))
    return cells


def _drift(snapshot: Snapshot) -> Html | None:
    rows: list[Row] = []
    for account, runs in sorted(snapshot.runs.items()):
        newest = next((run for run in runs if run["kind"] == "audit" and run["counts"]), None)
        found = Counter((newest or {}).get("counts", {}).get("found") or {})
        if newest is not None and found:
            words = "; ".join(f"{count:,} × {KINDS.get(kind, kind)}" for kind, count in found.most_common())
            when = ago(datetime.fromisoformat(newest["started_at"]), snapshot.at)
            rows.append((("name", account), ("message", words), ("", f"{when} ago")))
    if not rows:
        return None
    how = element("span", prose("`syncd audit --last` names the DOIs"), class_="soft")
    found_table = table(("account", "what", "when"), rows)
    return element("section", element("h2", "Drift that the last audit found ", how), found_table)


def doi_link(name: str) -> Html:
    """A DOI that leads to its page."""
    return element("a", name, href=f"/doi?q={quote(name, safe='')}", class_="doi")


# Tables.

Cell = tuple[str, Child]
"""The class of a cell, and what stands in it."""
Row = Iterable[Cell]


def table(
    heads: Sequence[str],
    rows: Sequence[Row],
    *,
    foot: Sequence[Row] | None = None,
    numbers: Sequence[str] = (),
) -> Html:
    """A table; on a phone every row is a block, in which the heads stand before the cells."""

    def row_of(cells: Row) -> Html:
        return element("tr", [
            element("td", content, class_=kind or None, data_label=head if kind not in ("name", "doi") else None)
            for head, (kind, content) in zip(heads, cells, strict=False)
        ])  # fmt: skip

    head = element(
        "tr", [element("th", one, scope="col", class_="number" if one in numbers else None) for one in heads]
    )
    return element(
        "table",
        element("thead", head),
        element("tbody", [row_of(one) for one in rows]),
        None if foot is None else element("tfoot", [row_of(one) for one in foot]),
    )
