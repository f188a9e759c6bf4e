"""Options that pgBackRest takes only beside others, and those that contradict each other. Pure.

An option of a command line whose need is not met ends the command with [031]; one of pgbackrest.conf is passed over
without a word. Both are told before. What is in force is what the option's own list says, else the Repository's
options, else what pgwarden writes, else pgBackRest's default. The needs are those of pgBackRest's build/config.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from pgwarden.pgbackrest.option_table import ALLOWED, LEVELS, in_seconds

Settings = Mapping[str, str]
_NUMBERED = re.compile(r"repo([0-9]+)-(.+)")


class Need(msgspec.Struct, frozen=True):
    option: str
    values: tuple[str, ...]
    otherwise: str  # what `option` is where nobody says
    #: What is wrong without it, where a field of ours says what `option` is.
    problem: str = ""

    def told(self, option: str, found: str) -> str:
        if self.problem:
            return self.problem
        wanted = f"--{option}" if self.values == ("y",) else f"--{option}={' or '.join(self.values)}"
        return f"needs {wanted}, and that is {'off' if found == 'n' else found} here; remove it"


_CHECK = Need("archive-check", ("y",), "y")
_BUNDLE = Need("repo-bundle", ("y",), "n")
_S3 = Need("repo-type", ("s3",), "posix", "is for a bucket, and this storage is on a volume; remove it")
_TARGET = "needs a spec.target of lsn, time or xid; remove it"
_ALIVE = Need("sck-keep-alive", ("y",), "y")
NEEDS: dict[str, Need] = {
    "archive-copy": _CHECK,
    "archive-mode-check": _CHECK,
    "compress-level": Need("compress-type", tuple(LEVELS), "gz"),
    "repo-block": _BUNDLE,
    "repo-bundle-limit": _BUNDLE,
    "repo-bundle-size": _BUNDLE,
    "repo-s3-kms-key-id": _S3,
    "repo-s3-requester-pays": _S3,
    "repo-s3-role": Need("repo-s3-key-type", ("auto",), "shared", "needs spec.s3.keyType auto; remove it"),
    "repo-s3-service": _S3,
    "repo-s3-sts-host": Need("repo-s3-key-type", ("web-id",), "shared", "needs spec.s3.keyType web-id; remove it"),
    "repo-storage-prefetch": _S3,
    "repo-storage-read-over": _S3,
    "repo-storage-tag": _S3,
    "repo-storage-upload-chunk-size": _S3,
    "target-exclusive": Need("type", ("lsn", "time", "xid"), "default", _TARGET),
    "tcp-keep-alive-count": _ALIVE,
    "tcp-keep-alive-idle": _ALIVE,
    "tcp-keep-alive-interval": _ALIVE,
}


def ours(storages: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """What pgwarden writes of what others need. *storages*: by number, their lines without `repoN-`."""
    settings = {"compress-type": "zst"}
    for number, lines in storages.items():
        every = {"bundle": "y", "block": "y", **lines}
        settings |= {f"repo{number}-{name}": value for name, value in every.items()}
    return settings


def without_needless(settings: Settings, given: Settings) -> dict[str, str]:
    """*settings* of pgbackrest.conf without what is ours and the options *given* make useless."""
    return {name: value for name, value in settings.items() if name in given or not _unmet(name, settings)}


def problems(given: Settings, below: Settings) -> Iterator[tuple[str, str]]:
    """(argument, what is wrong) of the options *given*. *below*: what is in force under them."""
    settings = {**below, **given}
    for name, value in given.items():
        unmet = _unmet(name, settings)
        if unmet:
            yield _argument(name, value.partition("\n")[0]), unmet
    level = settings.get("compress-level")
    if level is not None and {"compress-level", "compress-type"} & given.keys():
        yield from _wrong_level(settings.get("compress-type", ""), level)
    if {"db-timeout", "protocol-timeout"} & given.keys():
        yield from _wrong_timeouts(settings)


def _unmet(name: str, settings: Settings) -> str:
    """Empty where what *name* needs is there. It needs it to be off, too: pgBackRest refuses even that."""
    numbered = _NUMBERED.fullmatch(name)
    need = NEEDS.get(f"repo-{numbered[2]}" if numbered else name)
    if need is None:
        return ""
    option = need.option.replace("repo-", f"repo{numbered[1]}-", 1) if numbered else need.option
    found = settings.get(option, need.otherwise)
    if found in need.values:
        return ""
    return need.told(option, found)


def _wrong_level(kind: str, level: str) -> Iterator[tuple[str, str]]:
    if kind in LEVELS and not LEVELS[kind][0] <= int(level) <= LEVELS[kind][1]:
        low, high = LEVELS[kind]
        yield f"--compress-level={level}", f"must be from {low} to {high} with {kind}"


def _wrong_timeouts(settings: Settings) -> Iterator[tuple[str, str]]:
    database, protocol = (in_seconds(settings.get(name, "")) for name in ("db-timeout", "protocol-timeout"))
    if database is not None and protocol is not None and protocol <= database:
        told = f"must be longer than --db-timeout={settings['db-timeout']}"
        yield f"--protocol-timeout={settings['protocol-timeout']}", told


def _argument(name: str, value: str) -> str:
    """As a command line has it."""
    numbered = _NUMBERED.fullmatch(name)
    option = ALLOWED[f"repo-{numbered[2]}" if numbered else name]
    if option.type != "boolean":
        return f"--{name}={value}"
    return f"--{name}" if value == "y" else f"--no-{name}"
