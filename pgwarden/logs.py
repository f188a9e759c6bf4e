"""Logs of every process: one JSON object a line, our own and the libraries'."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog

_levels = {"level": logging.INFO}


def informs() -> bool:
    """Whether lines of level info are written."""
    return _levels["level"] <= logging.INFO


def configure(level: str, out: TextIO | None = None) -> None:
    """*level* as the chart's logLevel; an unknown one is info. *out*: standard output unless given."""
    out = out or sys.stdout
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    _levels["level"] = number
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(out.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Libraries())
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


class _Libraries(logging.Formatter):
    """aiohttp, asyncio, kubernetes and psycopg log with the standard library."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _line(line).decode()


def _line(record: dict[str, Any], **_: object) -> bytes:
    try:
        return msgspec.json.encode(record, enc_hook=repr)
    except UnicodeEncodeError:  # a lone surrogate, as in the name of a file that is not UTF-8
        return json.dumps(record, default=repr).encode()
