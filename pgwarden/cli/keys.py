"""S3 keys from the command line, a file, standard input, or a prompt that does not show them.

No message ever repeats one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from pgwarden.cli.errors import UNABLE, CliError
from pgwarden.cli.terminal import Terminal

_LARGEST = 65536  # characters of a file with keys
_NAMES = {
    "aws_access_key_id": "key",
    "s3-key": "key",
    "aws_secret_access_key": "secret",
    "s3-key-secret": "secret",
}


@dataclass(frozen=True)
class Keys:
    key: str = field(repr=False)
    secret: str = field(repr=False)


def read(args: argparse.Namespace, terminal: Terminal) -> Keys | None:
    """None where none were given and there is no terminal to ask on. CliError where they are not a pair of keys."""
    if args.pgbackrest_s3_keys_from:
        return parse(_text(args.pgbackrest_s3_keys_from, terminal), args.pgbackrest_s3_keys_from)
    key, secret = args.pgbackrest_s3_key, args.pgbackrest_s3_key_secret
    if secret:
        terminal.note(
            "note: other users of this machine can see keys on the command line; prefer --pgbackrest-s3-keys-from"
        )
    if not (key and secret) and terminal.interactive:
        key = key or terminal.ask("S3 access key: ")
        secret = secret or terminal.ask_unseen("S3 secret key (not shown): ")
    if not key and not secret:
        return None
    return _checked(key, secret, "the keys")


def parse(text: str, where: str) -> Keys:
    """An AWS credentials file (its profile `default`, or the only one), `s3-key=…` lines, or two lines: key, secret."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", ";"))]
    profiles: dict[str, dict[str, str]] = {}
    current = "default"
    for line in lines:
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1].strip()
            continue
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() in _NAMES:
            profiles.setdefault(current, {})[_NAMES[name.strip().lower()]] = value.strip()
    if not profiles:
        if len(lines) != 2:
            raise CliError(f"{_title(where)} must be an AWS credentials file, or two lines: access key and secret key")
        return _checked(lines[0], lines[1], _title(where))
    if "default" not in profiles and len(profiles) > 1:
        raise CliError(
            f"{_title(where)} has several profiles, none of them named default: {', '.join(sorted(profiles))}"
        )
    found = profiles.get("default") or next(iter(profiles.values()))
    return _checked(found.get("key", ""), found.get("secret", ""), _title(where))


def _checked(key: str, secret: str, title: str) -> Keys:
    for what, value in (("access key", key), ("secret key", secret)):
        if not value:
            raise CliError(f"{title}: the {what} is missing", code=UNABLE)
        if not value.isprintable() or " " in value:
            raise CliError(f"{title}: the {what} must not contain spaces or control characters", code=UNABLE)
    return Keys(key, secret)


def _text(where: str, terminal: Terminal) -> str:
    if where == "-":
        return terminal.read(_LARGEST)
    try:
        with Path(where).open(encoding="utf-8") as file:
            return file.read(_LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a text file"
        raise CliError(f"--pgbackrest-s3-keys-from {where}: {said}") from None


def _title(where: str) -> str:
    return "standard input" if where == "-" else where
