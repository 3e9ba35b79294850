"""What can be set, section by section, with defaults, and what is refused."""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from syncd.errors import ConfigurationError
from syncd.model import MANAGED_ATTRIBUTES, State
from syncd.secret import read_secret
from syncd.timetable import OFF, parse

WINDOW_SECONDS = 300.0
HOSTS = {"production": "https://api.datacite.org", "test": "https://api.test.datacite.org"}
CAPS = {"production": 3000, "test": 750}
_OTHER_CAP = 3000
_SHARE_OF_CAP = 0.98
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value.strip())
        if match is None:
            msg = 'a duration looks like "30s", "5m" or "1h"'
            raise ValueError(msg)
        return float(match[1]) * _UNITS[match[2]]
    return value


_LONGEST = 30 * 86400
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=_LONGEST, allow_inf_nan=False)]


LongSeconds = Annotated[float, BeforeValidator(_seconds), Field(ge=2 * 86400, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StateSettings(_Section):
    """Where our own tables live."""

    url: str = "sqlite:///syncd-state.db"

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            msg = "own tables live in SQLite (sqlite:////path/state.db) or PostgreSQL (postgresql://…)"
            raise ValueError(msg)
        return url


class DataCiteSettings(_Section):
    """Which DataCite, and how politely it is asked."""

    host: str = "test"
    contact: str = Field(default="", description="goes into the User-Agent")
    requests_per_window: int | None = Field(default=None, ge=1)
    backfill_per_window: int | None = Field(default=None, ge=1)
    window: Seconds = WINDOW_SECONDS
    request_timeout: Annotated[Seconds, Field(ge=1, le=600)] = 60.0
    grace: Seconds = 60.0
    workers: int = Field(default=16, ge=1, le=64)

    @property
    def base_url(self) -> str:
        """The API's address without a trailing slash."""
        return HOSTS.get(self.host, self.host).rstrip("/")

    @property
    def slots(self) -> int:
        """How many requests any window of 300 s may see; by default 2 % under DataCite's cap."""
        return self.requests_per_window or int(self.cap * _SHARE_OF_CAP)

    @property
    def cap(self) -> int:
        """DataCite's own limit for this host."""
        names = {url: name for name, url in HOSTS.items()}
        return CAPS.get(names.get(self.base_url, ""), _OTHER_CAP)

    @field_validator("host")
    @classmethod
    def _known_host(cls, host: str) -> str:
        if host not in HOSTS and not re.match(r"^https?://([^/\s:\[\]]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?$", host):
            msg = '"production", "test" or an address such as http://127.0.0.1:8085'
            raise ValueError(msg)
        return host

    @field_validator("contact")
    @classmethod
    def _address(cls, contact: str) -> str:
        if contact and not re.match(r"^[^\s@()]+@[^\s@()]+$", contact):
            msg = "a mail address, so that DataCite can write to you"
            raise ValueError(msg)
        return contact

    @model_validator(mode="after")
    def _real_window(self) -> Self:
        host = urlsplit(self.base_url).hostname or ""
        if self.window != WINDOW_SECONDS and not is_loopback(host):
            msg = "window: DataCite's is 300 s; another one is for a sandbox on this machine (--rate-limit N/SECONDS)"
            raise ValueError(msg)
        if self.window <= 0:
            msg = "window: longer than nothing"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _under_the_cap(self) -> Self:
        if self.slots > self.cap:
            msg = f"requests_per_window: {self.slots} is above DataCite's {self.cap} per 300 s for {self.host}"
            raise ValueError(msg)
        return self


class SourceSettings(_Section):
    """One platform's database, and how its rows become DataCite records."""

    url: str
    platform: str = "sql"
    options: dict[str, Any] = Field(default_factory=dict, description="what the platform's preset understands")
    landing_page: str = ""
    defaults: dict[str, Any] = Field(default_factory=dict, description="attributes for records that have none")
    override: dict[str, Any] | str = Field(
        default_factory=dict, description="attributes for every record, or a function"
    )
    all: str = ""
    changed: str = ""
    one: str = ""
    mapping: str = "columns"
    state: State | None = None
    states: dict[str, State] = Field(default_factory=dict)
    withdrawn_drafts: Literal["delete", "keep"] = "delete"
    hide_reason: str = Field(default="withdrawn or removed by the repository", max_length=255)
    page_size: int = Field(default=1000, ge=1, le=100_000)
    statement_timeout: Seconds = 300.0
    overlap: Seconds = 600.0
    channel: str = Field(default="", pattern=r"^[a-z_][a-z0-9_]{0,62}$|^$", description="PostgreSQL's, for LISTEN")

    @field_validator("mapping")
    @classmethod
    def _known_mapping(cls, mapping: str) -> str:
        if mapping != "columns" and not re.match(r"^(json:\w+|[\w.]+:\w+)$", mapping):
            msg = '"columns", "json:COLUMN" or "module:function"'
            raise ValueError(msg)
        return mapping

    @model_validator(mode="after")
    def _channels(self) -> Self:
        if self.channel and not self.url.startswith("postgres"):
            msg = "channel: only PostgreSQL can notify; leave it out, and polls do it"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _attributes(self) -> Self:
        given = [*self.defaults, *(self.override if isinstance(self.override, dict) else ())]
        for name in given:
            if name not in (*MANAGED_ATTRIBUTES, "alternateIdentifiers"):
                near = difflib.get_close_matches(name, MANAGED_ATTRIBUTES, 1)
                msg = f"{name} is no DataCite attribute" + (f"; did you mean {near[0]}?" if near else "")
                raise ValueError(msg)
        if isinstance(self.override, str) and not re.match(r"^[\w.]+:\w+$", self.override):
            msg = 'override: a table of attributes, or "module:function"'
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _queries(self) -> Self:
        if self.platform != "sql":
            if self.all or self.one or self.changed:
                msg = f'the queries all, one and changed are for platform "sql"; "{self.platform}" has its own'
                raise ValueError(msg)
            return self
        missing = [name for name in ("all", "one") if not getattr(self, name).strip()]
        if missing:
            msg = f'platform "sql" needs the queries {" and ".join(missing)}'
            raise ValueError(msg)
        if ":key" not in self.one:
            msg = 'the query "one" must select by :key'
            raise ValueError(msg)
        if self.changed and ":since" not in self.changed:
            msg = 'the query "changed" must compare with :since'
            raise ValueError(msg)
        return self


class AccountSettings(_Section):
    """One DataCite repository account and the platform that feeds it."""

    id: str = Field(pattern=r"^[A-Za-z0-9]+\.[A-Za-z0-9-]+$")
    password: SecretStr | None = None
    password_file: Path | None = None
    prefixes: list[str] = Field(min_length=1)
    domains: str = "*"
    source: SourceSettings

    @field_validator("id")
    @classmethod
    def _one_spelling(cls, account_id: str) -> str:
        # DataCite does not mind the case; our own tables would.
        return account_id.upper()

    @field_validator("prefixes")
    @classmethod
    def _prefix_form(cls, prefixes: list[str]) -> list[str]:
        wrong = [prefix for prefix in prefixes if not re.match(r"^10\.\d{4,5}$", prefix)]
        if wrong:
            msg = f"a prefix looks like 10.5072, not like {', '.join(wrong)}"
            raise ValueError(msg)
        return prefixes

    def secret(self, environment: Mapping[str, str] = os.environ) -> str:
        """The account's password: from the environment, from its file, from systemd, or as it stands there.

        systemd reads a credential when the service starts and not again, so a file that can be read goes first:
        a corrected password then needs a reload only.

        Raises:
            ConfigurationError: None is configured, or its file cannot be read or is open to everybody.
        """
        variable = password_variable(self.id)
        if variable in environment:
            return environment[variable]
        if self.password_file and os.access(self.password_file, os.R_OK):
            return read_secret(self.password_file, private=True)
        credentials = environment.get("CREDENTIALS_DIRECTORY")
        # Loaded one by one they have our name; loaded as a folder, systemd puts the name that the unit gives before it.
        for name in (self.id.lower(), f"syncd_{self.id.lower()}"):
            if credentials and (path := Path(credentials) / name).is_file():
                return read_secret(path, private=False)
        if self.password_file:
            return read_secret(self.password_file, private=True)
        if self.password:
            return self.password.get_secret_value()
        raise ConfigurationError(
            f"account {self.id} has no password",
            hint=f"set password_file in the configuration, or {variable} in the environment",
        )


class BrakeSettings(_Section):
    """How much a scan may change before a person has to look."""

    changed: float = Field(default=30.0, gt=0, le=100, description="percent of the known DOIs")
    hidden: float = Field(default=5.0, gt=0, le=100, description="percent of the known DOIs")
    at_least: int = Field(default=10, ge=1, description="fewer are always let pass")


USUAL = BrakeSettings()
"""What is usual when the configuration says nothing."""


class ScheduleSettings(_Section):
    """When the daemon works; times of day are UTC."""

    poll: Annotated[Seconds, Field(ge=0.05)] = 30.0
    outline: Seconds = 600.0
    reconcile: str = "02:30"
    audit: str = "Sun 03:00"
    repair: list[Literal["metadata", "url", "state", "unresolved", "missing"]] = Field(
        default_factory=list, description="kinds of drift that an audit makes pending"
    )
    stuck: Annotated[Seconds, Field(ge=1)] = 1200.0

    @field_validator("reconcile", "audit")
    @classmethod
    def _time(cls, words: str) -> str:
        parse(words)
        return words


class WebSettings(_Section):
    """Status page, health and metrics."""

    listen: str = Field(default="127.0.0.1:8086", description='address and port; "off" for none')
    hosts: list[str] = Field(default_factory=list, description="names under which a proxy passes the page on")

    @field_validator("listen")
    @classmethod
    def _place(cls, listen: str) -> str:
        if listen != OFF and not re.match(r"^([^/\s:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}$", listen):
            msg = 'an address and a port such as 127.0.0.1:8086, or "off"'
            raise ValueError(msg)
        return listen

    @property
    def place(self) -> tuple[str, int] | None:
        """Host and port; None when nobody is to listen."""
        if self.listen == OFF:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class KeepSettings(_Section):
    """How long the daemon keeps what people only look at."""

    writes: LongSeconds = 365 * 86400.0
    failures: LongSeconds = 365 * 86400.0
    runs: LongSeconds = 90 * 86400.0


class NotifySettings(_Section):
    """What goes out by itself; nothing unless it is set."""

    heartbeat: SecretStr | None = None
    digest: str = "07:00"
    webhook: SecretStr | None = None
    mail_to: list[str] = Field(default_factory=list)
    mail_from: str = "syncd@localhost"
    smtp: str = Field(default="localhost:25", pattern=r"^[^\s:]+:\d{1,5}$")

    @field_validator("digest")
    @classmethod
    def _time(cls, words: str) -> str:
        parse(words)
        return words

    @field_validator("heartbeat", "webhook")
    @classmethod
    def _address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not re.match(r"^https?://[^/\s]+", address.get_secret_value()):
            msg = "an address such as https://hc.example.org/ping/…"
            raise ValueError(msg)
        return address


class LogSettings(_Section):
    """How much is logged to stderr, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Settings(_Section):
    """The whole configuration."""

    state: StateSettings = StateSettings()
    datacite: DataCiteSettings = DataCiteSettings()
    accounts: list[AccountSettings] = Field(min_length=1)
    brake: BrakeSettings = USUAL
    schedule: ScheduleSettings = ScheduleSettings()
    web: WebSettings = WebSettings()
    keep: KeepSettings = KeepSettings()
    notify: NotifySettings = NotifySettings()
    log: LogSettings = LogSettings()
    _path: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _accounts_differ(self) -> Self:
        ids = [account.id.lower() for account in self.accounts]
        twice = sorted({account for account in ids if ids.count(account) > 1})
        if twice:
            msg = f"accounts: {', '.join(twice)} stands here more than once"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _own_tables_apart(self) -> Self:
        for account in self.accounts:
            if account.source.url == self.state.url:
                msg = f"state.url is the database of {account.id}'s platform; syncd never writes there"
                raise ValueError(msg)
        return self

    def account(self, account_id: str) -> AccountSettings:
        """The account of this id, in any case."""
        for account in self.accounts:
            if account.id.lower() == account_id.lower():
                return account
        known = ", ".join(account.id for account in self.accounts)
        raise ConfigurationError(f"no account {account_id} in the configuration", hint=f"known: {known}")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def password_variable(account_id: str) -> str:
    """The environment variable that may hold an account's password."""
    return "SYNCD_PASSWORD_" + re.sub(r"[^A-Za-z0-9]", "_", account_id).upper()
