"""Log lines: stable dotted event names with fields, one line each, to stderr; never a secret.

Everything (SQLAlchemy, alembic, httpx, APScheduler too) goes through the standard library's root logger, so
all lines have one form: JSON off a terminal, coloured text on one, with a priority prefix under journald.
"""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(r"password|passwd|secret|token|authorization|credential", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^/\s:@]*):[^@\s]+@")
_JOURNAL_PRIORITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_HIDDEN = "[hidden]"


def configure(level: str = "info", form: str = "auto") -> None:
    """Send all log lines to stderr.

    Args:
        level: The lowest level that is written.
        form: ``json``, ``console``, or ``auto``: console on a terminal, JSON elsewhere.
    """
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    last: list[Any] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ)]
    )
    kind = _JournalFormatter if _stderr_is_the_journal() else structlog.stdlib.ProcessorFormatter
    formatter = kind(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # httpx logs every request's URL, alembic every context: neither is news to an operator.
    for name in ("httpx", "httpcore", "alembic", "apscheduler", "uvicorn"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values under names that sound secret, and passwords inside addresses."""
    for key, value in event.items():
        if _SECRET.search(key):
            event[key] = _HIDDEN
        elif isinstance(value, str):
            event[key] = without_password(value)
    return event


def without_password(text: str) -> str:
    """The text with every password inside an address hidden."""
    return _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", text)


def _stderr_is_the_journal() -> bool:
    stream = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


class _JournalFormatter(structlog.stdlib.ProcessorFormatter):
    """Lines that begin with the priority that journald takes from them."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_JOURNAL_PRIORITY.get(record.levelno, 6)}>{super().format(record)}"
