"""Settings: one TOML file, every value also from the environment, all mistakes at once.

Precedence, high to low: command line, ``SYNCD_SECTION__KEY`` in the environment, the TOML file, defaults.
An account's password comes from ``password``, ``password_file``, the environment
(``SYNCD_PASSWORD_`` + id with every other character as ``_``) or a systemd credential named like the id.
"""

import difflib
import ipaddress
import os
import re
import stat
import tomllib
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
    ValidationError,
    field_validator,
    model_validator,
)

from syncd.errors import ConfigurationError
from syncd.model import MANAGED_ATTRIBUTES, State

WINDOW_SECONDS = 300.0
HOSTS = {"production": "https://api.datacite.org", "test": "https://api.test.datacite.org"}
CAPS = {"production": 3000, "test": 750}
_OTHER_CAP = 3000
_SHARE_OF_CAP = 0.98
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SQLITE_FILE = re.compile(r"^sqlite:///([^/:].*)$")
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

    @field_validator("mapping")
    @classmethod
    def _known_mapping(cls, mapping: str) -> str:
        if mapping != "columns" and not re.match(r"^(json:\w+|[\w.]+:\w+)$", mapping):
            msg = '"columns", "json:COLUMN" or "module:function"'
            raise ValueError(msg)
        return mapping

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
        """The account's password.

        Raises:
            ConfigurationError: None is configured, or its file cannot be read or is open to everybody.
        """
        variable = password_variable(self.id)
        if variable in environment:
            return environment[variable]
        credentials = environment.get("CREDENTIALS_DIRECTORY")
        if credentials and (path := Path(credentials) / self.id.lower()).is_file():
            return _read_secret(path, private=False)
        if self.password_file:
            return _read_secret(self.password_file, private=True)
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
    """When the daemon works."""

    poll: Seconds = 30.0
    reconcile: str = "02:30"
    audit: str = "Sun 03:00"


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


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the configuration.

    Raises:
        ConfigurationError: The file cannot be read, or holds mistakes: all of them are named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no configuration at {path}", hint="write one: syncd init --platform sql"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        settings = Settings.model_validate(_from_folder(_with_environment(data, environment), path.parent))
    except ValidationError as error:
        raise ConfigurationError(f"{path} has mistakes:\n{_mistakes(error)}") from None
    if any(account.password for account in settings.accounts):
        _refuse_open_file(path)
    return settings


def _with_environment(data: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Lay ``SYNCD_DATACITE__HOST``, ``SYNCD_ACCOUNTS__0__SOURCE__URL`` … over the file's values."""
    for name, value in sorted(environment.items()):
        if not name.startswith("SYNCD_") or name.startswith("SYNCD_PASSWORD_") or "__" not in name:
            continue
        *parents, last = name.removeprefix("SYNCD_").lower().split("__")
        place: Any = data
        for step in parents:
            place = _step_into(place, step, name)
        if not isinstance(place, dict):
            raise ConfigurationError(f"{name} does not name a setting")
        place[last] = value
    return data


def _step_into(place: Any, step: str, name: str) -> Any:
    if isinstance(place, dict):
        return place.setdefault(step, [] if step == "accounts" else {})
    if not isinstance(place, list):
        raise ConfigurationError(f"{name} does not name a setting")
    if not step.isdigit() or int(step) > len(place):
        raise ConfigurationError(f"{name}: accounts are counted from 0 without a gap")
    if int(step) == len(place):
        place.append({})
    return place[int(step)]


def _from_folder(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative files are meant from the configuration's folder, wherever the program is started."""
    if isinstance(state := data.setdefault("state", {}), dict):
        # Else the state would lie wherever the program is started, and there would be two of it.
        state.setdefault("url", StateSettings().url)
    sections = [data.get("state"), *(one.get("source") for one in _tables(data.get("accounts")))]
    for section in _tables(sections):
        if isinstance(url := section.get("url"), str):
            section["url"] = _SQLITE_FILE.sub(lambda match: f"sqlite:///{folder.absolute() / match[1]}", url)
    for account in _tables(data.get("accounts")):
        if isinstance(name := account.get("password_file"), str):
            account["password_file"] = str(folder.absolute() / name)
    return data


def _tables(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _mistakes(error: ValidationError) -> str:
    lines = []
    for mistake in error.errors():
        where = ".".join(str(part) for part in mistake["loc"]) or "configuration"
        what = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(mistake["loc"][-1]), _known_names(), 1)
            what = "unknown setting" + (f"; did you mean {near[0]}?" if near else "")
        elif where.endswith("source.state") and isinstance(mistake["input"], dict):
            what = "the table of statuses is called states: [accounts.source.states]"
        lines.append(f"  {where}: {what}")
    return "\n".join(lines)


def _known_names() -> list[str]:
    sections = (
        Settings,
        StateSettings,
        DataCiteSettings,
        AccountSettings,
        SourceSettings,
        BrakeSettings,
        ScheduleSettings,
        LogSettings,
    )
    return [name for section in sections for name in section.model_fields]


def _read_secret(path: Path, *, private: bool) -> str:
    if private:
        _refuse_open_file(path)
    try:
        secret = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the password file {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"the password file {path} is empty")
    return secret


def _refuse_open_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if mode & stat.S_IROTH:
        raise ConfigurationError(f"{path} holds a password and is readable by everybody", hint=f"chmod 640 {path}")
