"""``platform = "sql"``: the operator's own queries on the operator's own schema.

Each query gives one row per record. Columns ``record_key`` (the record's own key) and ``doi`` are needed; ``status``,
``url`` and ``modified`` are understood; every other column belongs to the mapping. A query may page itself
with ``:after`` and ``:limit``; otherwise it is wrapped in keyset pages.
"""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from syncd.clock import Clock
from syncd.errors import ConfigurationError
from syncd.model import Desired, Outline, Problem, Row, State, doi_name
from syncd.platforms import grants, mapping, watermark
from syncd.platforms.advice import Advice
from syncd.platforms.connection import explained, identity, may_write, open_engine
from syncd.platforms.desired import Finish, fingerprint
from syncd.settings import AccountSettings

_KEY = "record_key"  # not "key", which MySQL reserves
_NEEDED = (_KEY, "doi")
_PAGES_ITSELF = re.compile(r"(?<!:):after\b")
_SPELLINGS = {"true": ("1",), "false": ("0",), "1": ("true",), "0": ("false",)}
_SEMANTICS = "1"
"""Raise it when this module makes other attributes from the same row: every record is then mapped again."""


class SqlPlatform:
    """Reads records with three queries; see ``syncd.platforms.Platform`` for what is promised."""

    def __init__(self, account: AccountSettings, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._source = account.source
        self._engine: Engine = open_engine(account.source.url, account.source.statement_timeout)
        self._mapper = mapping.mapper(account.source.mapping)
        self._finish = Finish(account.source)
        self._fingerprint = fingerprint(account, _SEMANTICS)
        self._columns: frozenset[str] | None = None
        self._key_is_number: bool | None = None
        self._marks: Any = None
        self._began = self._clock.monotonic()

    def identity(self) -> str:
        """The database's address without user and password, and its server's own name for itself."""
        return identity(self._engine, self._account.id)

    def may_write(self) -> list[str]:
        """What the database account could write, in words; empty when it may only read."""
        return may_write(self._engine, self._account.id)

    @property
    def finds_changes(self) -> bool:
        """Whether the operator gave a query for changes."""
        return bool(self._source.changed)

    @property
    def watermark(self) -> Any:
        """The newest ``modified`` of the pages read so far, less overlap and reading time; None without one."""
        if self._marks is None or not self.finds_changes:
            return None
        # Pages read early do not show edits made while later ones were read.
        back = self._source.overlap + (self._clock.monotonic() - self._began)
        return watermark.to_json(watermark.rewound(self._marks, back, self._clock.now()))

    def all(self) -> Iterator[list[Row]]:
        """Every record, in keyset pages."""
        for number, page in enumerate(self._pages("all", {})):
            if number == 0:
                self._check_one(page[0])
            yield page

    def changed(self, since: Any) -> Iterator[list[Row]]:
        """The records that the operator's query finds changed since a watermark."""
        yield from self._pages("changed", {"since": watermark.from_json(since)})

    @property
    def gives_outlines(self) -> bool:
        """The operator's queries read whole records only."""
        return False

    def outlines(self) -> Iterator[list[Outline]]:
        """None."""
        return iter(())

    def some(self, keys: Sequence[str]) -> list[Row]:
        """The records of these keys."""
        return [row for row in map(self.one, keys) if row is not None]

    def matching(self, condition: str) -> Iterator[list[Row]]:
        """The records of the query ``all`` for which a condition on its columns holds.

        Raises:
            ConfigurationError: The condition is wrong, or ``all`` pages itself and cannot be narrowed.
        """
        if _PAGES_ITSELF.search(self._source.all):
            raise ConfigurationError(
                f'the query "all" of {self._account.id} pages itself, so no condition can be put around it',
                hint="choose with --since or --doi-file instead",
            )
        query = f"SELECT * FROM (\n{self._source.all.strip().rstrip(';')}\n) AS chosen WHERE ({condition})"  # noqa: S608
        yield from self._pages("all", {}, query)

    def one(self, key: str) -> Row | None:
        """The record of this key as it is now.

        Raises:
            ConfigurationError: The query gives more than one row, or another record.
        """
        rows = self._execute("one", self._source.one, {"key": self._native(key)})
        if not rows:
            return None
        if len(rows) > 1:
            raise ConfigurationError(
                f'the query "one" gives {len(rows)} rows for the key {key}',
                hint="gather child rows with a JSON aggregation, so that each record is one row",
            )
        row = self._row(rows[0])
        if row.key != key:
            raise ConfigurationError(f'the query "one" gives the record {row.key} for the key {key}')
        return row

    def map(self, row: Row) -> Desired | Problem:
        """The row as DataCite should hold it, or why that cannot be said."""
        state = self._state(row.values)
        if isinstance(state, Problem):
            return state
        others = {name: value for name, value in row.values.items() if name not in _NEEDED}
        return self._finish.desired(row.doi, state, lambda: self._mapper(others), row.values)

    def relations(self) -> list[str]:
        """The tables and views that the operator's queries name."""
        return grants.relations(self._source)

    def advice(self) -> list[Advice]:
        """None: it is the operator's own schema."""
        return []

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _state(self, values: Mapping[str, Any]) -> State | Problem:
        if "status" not in values:
            if self._source.state is None:
                raise ConfigurationError(
                    'the queries have no column "status" and the configuration no state',
                    hint='select the record\'s visibility AS status, or set state = "findable" for all records',
                )
            return self._source.state
        value = values["status"]
        word = status_word(value)
        states = self._source.states or {state.value: state for state in State}
        # A boolean comes as true from one database and as 1 from another.
        for spelling in (word, *_SPELLINGS.get(word, ())):
            if spelling in states:
                return states[spelling]
        shown = "NULL (call it null)" if value is None else repr(word)
        return Problem("status_unknown", f"the status is {shown}; known are {', '.join(map(repr, sorted(states)))}")

    def _pages(self, name: str, parameters: Mapping[str, Any], query: str = "") -> Iterator[list[Row]]:
        query = query or getattr(self._source, name)
        size = self._source.page_size
        after: Any = None
        self._began = self._clock.monotonic()
        while True:
            # One row more than the page, so that a key that stands twice cannot hide at its edge.
            rows = self._execute(name, *_paged(query, parameters, after, size + 1))
            if not rows:
                return
            self._check_keys(rows)
            page = rows[:size]
            self._marks = watermark.newest([self._marks, *(row.get("modified") for row in page)])
            yield [self._row(row) for row in page]
            if len(rows) <= size:
                return
            after = page[-1][_KEY]

    def _execute(self, name: str, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            with self._engine.connect() as connection:
                result = connection.execute(text(query), dict(parameters))
                self._check_columns(tuple(result.keys()))
                names = tuple(result.keys())
                return [dict(zip(names, row, strict=True)) for row in result]
        except SQLAlchemyError as error:
            raise explained(error, f'the query "{name}" of {self._account.id}') from error

    def _check_columns(self, names: tuple[str, ...]) -> None:
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise ConfigurationError(
                f"the queries for {self._account.id} lack the column {' and '.join(missing)}",
                hint="select them with AS, e.g. SELECT id AS record_key, identifier AS doi, …",
            )
        if self._source.changed and "modified" not in names:
            raise ConfigurationError(
                'the query "changed" is there, but no column "modified" tells where the next quick look begins',
                hint="select the timestamp AS modified in all three queries, or leave changed out",
            )
        if self._columns is None:
            self._columns = frozenset(names)
        elif self._columns != frozenset(names):
            different = ", ".join(sorted(self._columns ^ frozenset(names)))
            raise ConfigurationError(
                f"the queries for {self._account.id} give different columns: {different}",
                hint="all, changed and one must select the same columns; a view keeps them alike",
            )

    def _check_keys(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._key_is_number = isinstance(rows[0][_KEY], int)
        keys = [row[_KEY] for row in rows]
        if None in keys:
            raise ConfigurationError(
                'the column "record_key" is NULL in some rows', hint="select the primary key AS record_key"
            )
        twice = [key for key, following in itertools.pairwise(keys) if key == following]
        if twice:
            raise ConfigurationError(
                f"the queries give more than one row for the key {twice[0]}",
                hint="gather child rows with a JSON aggregation, so that each record is one row",
            )

    def _check_one(self, row: Row) -> None:
        """A query "one" that finds nothing would let every record look deleted, so it is tried first."""
        if self.one(row.key) is not None:
            return
        rows = self._execute("all", *_paged(self._source.all, {}, None, self._source.page_size))
        if row.key in {str(again[_KEY]) for again in rows}:
            raise ConfigurationError(
                f'the query "one" does not find the record {row.key}, which the query "all" gives',
                hint="compare the WHERE clauses of the two queries, and the type of :key",
            )

    def _row(self, values: Mapping[str, Any]) -> Row:
        name = values["doi"]
        return Row(str(values[_KEY]), doi_name(str(name)) if name else "", self._digest(values), values)

    def _digest(self, values: Mapping[str, Any]) -> str:
        parts = hashlib.sha256(self._fingerprint)
        for column, value in values.items():
            if column != "modified":
                data = value.encode() if type(value) is str else repr(value).encode()
                parts.update(f"{column}:{type(value).__name__}:{len(data)}:".encode() + data)
        return parts.hexdigest()

    def _native(self, key: str) -> Any:
        """The key as the platform's column has it: a text bound to a number column finds nothing somewhere."""
        if self._key_is_number is None:
            rows = self._execute("all", *_paged(self._source.all, {}, None, 1))
            self._key_is_number = bool(rows) and isinstance(rows[0][_KEY], int)
        return int(key) if self._key_is_number and re.fullmatch(r"-?\d+", key) else key


def _paged(query: str, parameters: Mapping[str, Any], after: Any, limit: int) -> tuple[str, dict[str, Any]]:
    query = query.strip().rstrip(";")
    if _PAGES_ITSELF.search(query):
        return query, {**parameters, "after": after, "limit": limit}
    # The operator's own query, in our own frame: nothing of it comes from outside the configuration file.
    beyond = "" if after is None else "WHERE page.record_key > :after "
    wrapped = f"SELECT * FROM (\n{query}\n) AS page {beyond}ORDER BY page.record_key LIMIT :limit"  # noqa: S608
    place = {} if after is None else {"after": after}
    return wrapped, {**parameters, **place, "limit": limit}


def status_word(value: Any) -> str:
    """A status as the table of states spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
