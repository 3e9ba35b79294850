"""A platform whose tables we know: one narrow row per DOI, and a whole record from it in a few queries a page.

What differs from platform to platform is a ``Preset``: SQL, and a pure mapping. What is the same for all of them is
here: pages, digests, outlines, watermarks, and one consistent view of each page.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from syncd.clock import Clock
from syncd.errors import ConfigurationError
from syncd.model import Attributes, Desired, Outline, Problem, Row, State, doi_name
from syncd.platforms import watermark
from syncd.platforms.advice import Advice
from syncd.platforms.connection import explained, identity, may_write, open_engine
from syncd.platforms.desired import Finish, fingerprint, placeholders
from syncd.settings import AccountSettings

Document = Mapping[str, Any]
"""One record with all that its mapping looks at, and nothing else; its names may stand in a landing page."""

_log = structlog.get_logger()
_SIGNATURE_DIGITS = 16
_BROKEN = "<broken>"
_T = TypeVar("_T")


class Options(BaseModel):
    """What an operator may choose for a preset, in ``[accounts.source.options]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask:
    """Questions to the platform's database, all on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect.name

    def __call__(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of a query; a list among the values stands for ``IN :name``."""
        lists: list[Any] = [
            bindparam(name, expanding=True) for name, value in values.items() if isinstance(value, list)
        ]
        result = self._connection.execute(text(query).bindparams(*lists), values)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none when it is not there."""
        if self.dialect == "sqlite":
            found = self("SELECT name AS column_name FROM pragma_table_info(:name)", name=table)
        else:
            ours = "current_schema()" if self.dialect == "postgresql" else "database()"
            query = f"""
                SELECT column_name AS column_name FROM information_schema.columns
                 WHERE table_schema = {ours} AND table_name = :name
            """  # noqa: S608 - one of two words of ours
            found = self(query, name=table)
        return frozenset(row["column_name"] for row in found)


class Preset(Protocol):
    """How one platform keeps its records, in the version that was found.

    Attributes:
        title: The platform and its version, for people.
        outline: A query that gives one row per DOI: ``record_key`` (indexed, unique), ``doi``, ``modified`` and
            whatever else tells a change that is cheap to see. It is narrowed and ordered by ``record_key``.
        key: The type of ``record_key``.
        relations: The tables that are read.
    """

    title: str
    outline: str
    key: type[int] | type[str]
    relations: Sequence[str]

    def mark(self, ask: Ask) -> str:
        """What every record depends on, such as a journal's name: when it differs, all are looked at again."""

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """The records of these rows of ``outline``, in their order; the number of queries is the same for any page."""

    def state(self, document: Document) -> State | Problem:
        """What the record's visibility means. Pure."""

    def attributes(self, document: Document) -> Attributes:
        """The record in DataCite's words, without ``url``. Pure; raises ``MappingError``."""

    def template(self, site: str) -> str:
        """The landing page's template below a site's address."""

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """What is worth knowing: missing indexes, and the platform's own sender."""


class Opener(Protocol):
    """Makes a preset for a database; raises ``OtherPlatformError`` when it is not of this platform."""

    name: str
    options: type[Options]

    def __call__(self, ask: Ask, options: Any, account: AccountSettings) -> Preset:
        """Look which version it is."""


def options_of(opener: Opener, account: AccountSettings) -> Options:
    """The operator's choices.

    Raises:
        ConfigurationError: They are not understood, all mistakes at once, or no landing page is given.
    """
    mistakes = []
    try:
        options = opener.options.model_validate(account.source.options)
    except ValidationError as error:
        known = ", ".join(sorted(opener.options.model_fields)) or "none"
        for mistake in error.errors():
            where = ".".join(map(str, mistake["loc"]))
            what = f"unknown; known are {known}" if mistake["type"] == "extra_forbidden" else mistake["msg"]
            mistakes.append(f"options.{where}: {what.removeprefix('Value error, ')}")
    if not account.source.landing_page.startswith(("https://", "http://")):
        mistakes.append("landing_page: the site's address, or the pattern of its pages, is needed")
    if mistakes:
        raise ConfigurationError(f"the source of {account.id} ({opener.name}) has mistakes: {'; '.join(mistakes)}")
    return options


class PresetPlatform:
    """Reads records by a preset; see ``syncd.platforms.Platform`` for what is promised."""

    def __init__(self, account: AccountSettings, clock: Clock, opener: Opener) -> None:
        self._account = account
        self._clock = clock
        self._source = account.source
        self._opener = opener
        self._options = options_of(opener, account)
        self._engine: Engine = open_engine(account.source.url, account.source.statement_timeout)
        if self._engine.dialect.name in ("postgresql", "mysql", "mariadb"):
            # Child rows belong to the same moment as the row they were read for.
            self._engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._marks: Any = None
        self._known_mark: str | None = None
        self._began = clock.monotonic()

    def identity(self) -> str:
        """The database's address without user and password, and its server's own name for itself."""
        return identity(self._engine, self._account.id)

    def may_write(self) -> list[str]:
        """What the database account could write, in words; empty when it may only read."""
        return may_write(self._engine, self._account.id)

    @property
    def finds_changes(self) -> bool:
        """Every preset knows the platform's timestamps."""
        return True

    @property
    def gives_outlines(self) -> bool:
        """Every preset has outlines."""
        return True

    @property
    def watermark(self) -> Any:
        """The newest ``modified`` of the pages read so far, less overlap and reading time; None without one."""
        if self._marks is None:
            return None
        back = self._source.overlap + (self._clock.monotonic() - self._began)
        return watermark.to_json(watermark.rewound(self._marks, back, self._clock.now()))

    @property
    def preset(self) -> Preset:
        """What was found in the database."""
        return self._found[0]

    def relations(self) -> list[str]:
        """The tables that are read."""
        return list(self.preset.relations)

    def advice(self) -> list[Advice]:
        """What an operator should know about this platform."""
        preset = self.preset
        with self._asking() as ask:
            return list(preset.advice(ask))

    def all(self) -> Iterator[list[Row]]:
        """Every record, in keyset pages."""
        yield from self._whole("", {})

    def changed(self, since: Any) -> Iterator[list[Row]]:
        """The records with a timestamp at or after a watermark."""
        yield from self._whole("modified >= :since", {"since": watermark.from_json(since)})

    def matching(self, condition: str) -> Iterator[list[Row]]:
        """The records for whose outline a condition holds."""
        yield from self._whole(f"({condition})", {})

    def outlines(self) -> Iterator[list[Outline]]:
        """Every record from far away."""
        mark = self._mark()
        yield from self._pages("", {}, lambda _ask, rows: [self._outline(row, mark) for row in rows])

    def some(self, keys: Sequence[str]) -> list[Row]:
        """The records of these keys."""
        # A mark that is too old costs one more look at the record, and asking for it each time costs much.
        mark = self._known_mark if self._known_mark is not None else self._mark()
        native = self.preset.key
        with self._asking() as ask:
            rows = ask(self._query("record_key IN :keys"), keys=[native(key) for key in keys])
            return self._rows(ask, rows, mark)

    def one(self, key: str) -> Row | None:
        """The record of this key as it is now."""
        return next(iter(self.some([key])), None)

    def map(self, row: Row) -> Desired | Problem:
        """The row as DataCite should hold it, or why that cannot be said."""
        preset, finish = self.preset, self._found[1]
        try:
            if _BROKEN in row.values:
                return Problem("mapping_failed", f"the record holds what nobody expects: {row.values[_BROKEN]}")
            state = preset.state(row.values)
        except Exception as error:  # whatever one record holds, only this record waits
            return Problem("mapping_failed", f"{type(error).__name__}: {error}")
        if isinstance(state, Problem):
            return state
        return finish.desired(row.doi, state, lambda: preset.attributes(row.values), row.values)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @cached_property
    def _found(self) -> tuple[Preset, Finish, bytes]:
        """The preset, and what depends on it."""
        with self._asking() as ask:
            preset = self._opener(ask, self._options, self._account)
        page = self._source.landing_page
        if not placeholders(page):
            page = preset.template(page.rstrip("/"))
        source = self._source.model_copy(update={"landing_page": page})
        account = self._account.model_copy(update={"source": source})
        return preset, Finish(source), fingerprint(account, preset.title)

    def _whole(self, condition: str, values: Mapping[str, Any]) -> Iterator[list[Row]]:
        mark = self._mark()
        self._began = self._clock.monotonic()

        def read(ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
            self._marks = watermark.newest([self._marks, *(row["modified"] for row in rows)])
            return self._rows(ask, rows, mark)

        yield from self._pages(condition, values, read)

    def _pages(
        self, condition: str, values: Mapping[str, Any], read: Callable[[Ask, list[dict[str, Any]]], list[_T]]
    ) -> Iterator[list[_T]]:
        """What ``read`` makes of each page, one transaction for each."""
        after: Any = None
        size = self._source.page_size
        while True:
            beyond = [] if after is None else ["record_key > :after"]
            query = self._query(" AND ".join([*beyond, *([condition] if condition else [])]), size)
            with self._asking() as ask:
                rows = ask(query, **values, **({} if after is None else {"after": after}))
                page = read(ask, rows)
            if rows:
                yield page
            if len(rows) < size:
                return
            after = rows[-1]["record_key"]

    def _query(self, condition: str, limit: int | None = None) -> str:
        where = f" WHERE {condition}" if condition else ""
        end = "" if limit is None else f" ORDER BY record_key LIMIT {limit}"
        # The preset's own query in our own frame; a condition of the operator's comes from their command line.
        return f"SELECT * FROM (\n{self.preset.outline}\n) AS page{where}{end}"  # noqa: S608

    def _rows(self, ask: Ask, rows: Sequence[Mapping[str, Any]], mark: str) -> list[Row]:
        if not rows:
            return []
        try:
            documents = self.preset.documents(ask, rows)
        except SQLAlchemyError:
            raise
        except Exception:  # whatever one record holds, the others are read
            documents = [self._alone(ask, row) for row in rows]
        return [self._row(row, document, mark) for row, document in zip(rows, documents, strict=True)]

    def _alone(self, ask: Ask, row: Mapping[str, Any]) -> Document:
        """One record, or why it cannot be read."""
        try:
            return self.preset.documents(ask, [row])[0]
        except SQLAlchemyError:
            raise
        except Exception as error:  # it becomes this record's own cause
            _log.warning("record.unreadable", doi=row["doi"], key=str(row["record_key"]), error=repr(error))
            return {_BROKEN: f"{type(error).__name__}: {error}"}

    def _row(self, row: Mapping[str, Any], document: Document, mark: str) -> Row:
        outline = self._outline(row, mark)
        data = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
        content = hashlib.sha256(self._found[2] + data).hexdigest()
        return Row(outline.key, outline.doi, content, document, outline.signature)

    def _outline(self, row: Mapping[str, Any], mark: str) -> Outline:
        parts = hashlib.sha256(self._found[2])
        parts.update(f"{mark}|{sorted(row.items(), key=lambda item: item[0])!r}".encode("utf-8", "surrogatepass"))
        name = doi_name(str(row["doi"])) if row["doi"] else ""
        return Outline(str(row["record_key"]), name, parts.hexdigest()[:_SIGNATURE_DIGITS])

    def _mark(self) -> str:
        preset = self.preset
        with self._asking() as ask:
            self._known_mark = preset.mark(ask)
        return self._known_mark

    @contextmanager
    def _asking(self) -> Iterator[Ask]:
        """One transaction, in which everything belongs to one moment."""
        try:
            with self._engine.connect() as connection:
                yield Ask(connection)
        except SQLAlchemyError as error:
            raise explained(error, f"a question about {self._account.id} ({self._opener.name})") from error
