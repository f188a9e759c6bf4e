"""Our own lines go to stderr. pgBackRest's lines go to stdout as they are."""

from __future__ import annotations

import sys

import structlog

from pgwarden import logs

Logger = structlog.typing.FilteringBoundLogger


def configure() -> None:
    logs.configure("info", sys.stderr)


def get(name: str) -> Logger:
    logger: Logger = structlog.get_logger(component=name)
    return logger
