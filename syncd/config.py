"""The configuration: one TOML file, every value also from the environment, all mistakes at once.

Precedence, high to low: command line, ``SYNCD_SECTION__KEY`` in the environment, the TOML file, defaults.
An account's password comes from the environment (``SYNCD_PASSWORD_`` + id with every other character as ``_``), a
systemd credential named like the id, ``password_file`` or ``password``. What can be set is in ``settings``.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from syncd.errors import ConfigurationError
from syncd.secret import refuse_open_file
from syncd.settings import Settings, StateSettings, WebSettings

_SQLITE_FILE = re.compile(r"^sqlite:///([^/:].*)$")


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the configuration.

    Raises:
        ConfigurationError: The file cannot be read, or holds mistakes: all of them are named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no configuration at {path}", hint="name it with -c or SYNCD_CONFIG, or write one: syncd init"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        settings = Settings.model_validate(_from_folder(_with_environment(data, environment), path.parent))
    except ValidationError as error:
        raise ConfigurationError(f"{path} has mistakes:\n{_mistakes(error)}") from None
    if any(account.password for account in settings.accounts):
        refuse_open_file(path)
    return settings


def where_it_listens(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[str, int] | None:
    """``web.place`` of a file that may have mistakes elsewhere; the default when the file cannot be read at all."""
    try:
        return load(path, environment).web.place
    except ConfigurationError:
        pass
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8")).get("web", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        written = {}
    listen = environment.get("SYNCD_WEB__LISTEN") or (written.get("listen") if isinstance(written, dict) else None)
    try:
        return WebSettings(listen=listen).place if listen else WebSettings().place
    except ValidationError:
        return WebSettings().place


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
    names: list[str] = []
    sections: list[type[BaseModel]] = [Settings]
    for section in sections:
        names += section.model_fields
        sections += [kind for field in section.model_fields.values() for kind in _sections_in(field.annotation)]
    return names


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    kinds = [annotation, *get_args(annotation)]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
