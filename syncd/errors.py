"""Everything that stops a command, each with its exit code and the operator's next step.

::

    SyncdError                 1
    ├── UsageError             2   the command line asks for something that cannot be
    ├── ConfigurationError    78   the configuration, a query or a mapping is wrong
    │   └── OtherPlatformError 78  a database is not of the platform that was named
    ├── SchemaError           78   our own tables are missing, older or newer than this program
    ├── CredentialsError      77   DataCite does not accept an account's credentials
    ├── UnreachableError      69   DataCite does not answer, or throttles us
    ├── BusyError             75   another process holds the lease
    ├── StateError            75   our own tables cannot be read or written now
    ├── PlatformError          1   the platform's database cannot be read
    ├── StoppedError         130   somebody asked the program to stop
    └── SafetyError            1   the run would do harm: an emptied source, unusually many changes
        └── CloneError        78   the state belongs to another platform database or another DataCite
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code means; part of the interface, so only ever extended."""

    DONE = 0
    RECORDS_FAILED = 1
    USAGE = 2
    CHANGES = 3
    UNREACHABLE = 69
    TRY_AGAIN = 75
    CREDENTIALS = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


class SyncdError(Exception):
    """An operation cannot go on.

    Args:
        message: What is wrong, naming the thing.
        hint: What to do next, if possible the command.
    """

    exit_code: ExitCode = ExitCode.RECORDS_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(SyncdError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class ConfigurationError(SyncdError):
    """The configuration, a query or a mapping is wrong."""

    exit_code = ExitCode.CONFIGURATION


class OtherPlatformError(ConfigurationError):
    """A database is not of the platform that was named."""


class SchemaError(SyncdError):
    """Our own tables are missing, older or newer than this program."""

    exit_code = ExitCode.CONFIGURATION


class CredentialsError(SyncdError):
    """DataCite does not accept an account's credentials."""

    exit_code = ExitCode.CREDENTIALS


class UnreachableError(SyncdError):
    """DataCite does not answer, or throttles us."""

    exit_code = ExitCode.UNREACHABLE


class BusyError(SyncdError):
    """Another process holds the lease."""

    exit_code = ExitCode.TRY_AGAIN


class StateError(SyncdError):
    """Our own tables cannot be read or written now, so nothing is sent."""

    exit_code = ExitCode.TRY_AGAIN


class PlatformError(SyncdError):
    """The platform's database cannot be read."""


class StoppedError(SyncdError):
    """Somebody asked the program to stop before the end."""

    exit_code = ExitCode.INTERRUPTED


class SafetyError(SyncdError):
    """The run would do harm, so it stops before the first request."""


class CloneError(SafetyError):
    """The state was made with another platform database or another DataCite."""

    exit_code = ExitCode.CONFIGURATION
