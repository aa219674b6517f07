"""Configures what the process writes about itself: structured events on standard error, secrets removed.

Not here: what is logged, the results that commands print on standard output, and the log of Spark's JVM
beyond the file that bounds it (`SPARK_LOG4J2`).
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["console", "json"]

SPARK_LOG4J2 = Path(__file__).with_name("spark-log4j2.properties")
"""Log4j configuration for Spark's JVMs, given to them as ``-Dlog4j2.configurationFile=file:<path>``."""

REDACTED = "[redacted]"
REPEAT_SECONDS = 30.0  # a broker that is away is said once in this time

# Libraries that tell their every step at INFO: py4j each call between Python and the JVM.
_CHATTY = ("py4j", "pyspark", "asyncio", "urllib3")

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|sasl[._]jaas|api[._-]?key|private[._-]?key|ssl[._]key",
    re.IGNORECASE,
)
# The same names inside a text such as a JAAS line or a URL query: name, separator, value.
_SECRET_IN_TEXT = re.compile(
    r"""([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential)[\w.-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)""",
    re.IGNORECASE,
)


class LogContext:
    """Fields that every event of the process carries, such as app, deployment, query, model, batch.

    They belong to the process and not to a thread, because Spark calls back on threads of its own, where
    context variables of the main thread are not set.
    """

    def __init__(self) -> None:
        self._fields: Mapping[str, Any] = {}

    def bind(self, **fields: Any) -> None:
        """Add fields or replace their values; a field that an event sets itself wins."""
        self._fields = {
            **self._fields,
            **fields,
        }  # replaced as a whole: readers on other threads need no lock

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Act as a structlog processor: put the fields into the event."""
        for name, value in self._fields.items():
            event.setdefault(name, value)
        return event


def configure(level: Level, form: Format, stream: TextIO | None = None) -> LogContext:
    """Send every event of structlog and of the standard library's logging through one chain.

    May be called again; the last call holds.

    Parameters
    ----------
    level : {"debug", "info", "warning", "error"}
        The least severe level that is written. Libraries known for chatter start at "warning".
    form : {"console", "json"}
        Lines for people, or one JSON object per line.
    stream : text stream, optional
        Where to write; standard error unless given, so that standard output holds results only.

    Returns
    -------
    LogContext
        The fields of every event; bind the application's identity to it.
    """
    context = LogContext()
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        context,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a second call must reach loggers that exist
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(form, target)],
        )
    )
    _route_standard_logging(handler, level)
    return context


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace, at any depth, the values whose names tell a secret, and such pairs inside texts.

    A structlog processor. It is a second fence: secrets are not to be logged in the first place.
    """
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if key.startswith("_"):  # structlog's own entries: the record and its origin
        return value
    if _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_IN_TEXT.sub(rf"\1{REDACTED}", value)
    if isinstance(value, Mapping):
        return {name: _redacted(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _renderer(form: Format, target: TextIO) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="time")


class _Repeats(logging.Filter):
    """Passes one record a period for each text, numbers aside: every client says that a broker is away."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = re.sub(r"\d+", "#", record.getMessage())
        if record.created - self._passed.get(text, 0.0) < self._seconds:
            return False
        self._passed[text] = record.created
        return True


def _not_of_py4j(record: logging.LogRecord) -> bool:
    """Drop what py4j logs past its own loggers: traces of errors that it raises too."""
    return f"{os.sep}py4j{os.sep}" not in record.pathname


def _route_standard_logging(handler: logging.Handler, level: Level) -> None:
    handler.addFilter(_not_of_py4j)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    librdkafka = logging.getLogger("librdkafka")
    librdkafka.setLevel(logging.ERROR)  # its warnings are retries that go on by themselves
    librdkafka.filters = [_Repeats(REPEAT_SECONDS)]
    # It logs the traceback of whatever our callbacks raise, which the application reports itself, once.
    logging.getLogger("py4j.clientserver").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
