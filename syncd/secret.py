"""Passwords in files that not everybody may read."""

import stat
from pathlib import Path

from syncd.errors import ConfigurationError


def read_secret(path: Path, *, private: bool) -> str:
    """The text of a password file, without the end of its line.

    Args:
        path: The file.
        private: Nobody else may be able to read it.

    Raises:
        ConfigurationError: It cannot be read, is empty, or is open to everybody.
    """
    if private:
        refuse_open_file(path)
    try:
        secret = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the password file {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"the password file {path} is empty")
    return secret


def refuse_open_file(path: Path) -> None:
    """Raises ``ConfigurationError`` when everybody can read the file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if mode & stat.S_IROTH:
        raise ConfigurationError(f"{path} holds a password and is readable by everybody", hint=f"chmod 640 {path}")
