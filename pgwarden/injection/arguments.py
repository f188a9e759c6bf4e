"""How the container starts PostgreSQL, read from its command and arguments: nothing is run, and no shell is parsed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from pgwarden.injection.pods import Container
from pgwarden.pgbackrest import commands

_SERVERS = frozenset({"postgres", "postmaster"})
_ENTRYPOINT = "docker-entrypoint.sh"  # of the official image: hands `postgres` and `-c …` on as they are
_TAG = re.compile(r"(\d+)")


class Setting(msgspec.Struct, frozen=True):
    """One `-c name=value` or `--name=value`: `index` counts command and args through, from the word with the value."""

    name: str
    value: str
    index: int

    @property
    def ours(self) -> bool:
        """True for an archive_command or restore_command that an earlier injection put there."""
        return self.name in {"archive_command", "restore_command"} and commands.is_for_postgres(self.value)


class Image(msgspec.Struct, frozen=True):
    """What an image reference tells of the PostgreSQL in it: only the official image's habits are known."""

    official: bool
    major: int | None
    alpine: bool


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What image, command and args tell of the server that they start."""

    image: Image
    settings: tuple[Setting, ...]
    data_directory: str  # empty where none is given
    takes_settings: bool  # whether `-c name=value` appended to the container's args reaches PostgreSQL


def read(container: Container) -> Start:
    words, what = container.argv, image(container.image)
    given = tuple(settings(words))
    return Start(
        image=what,
        settings=given,
        data_directory=_data_directory(words, given),
        takes_settings=_takes_settings(container, words, given, official=what.official),
    )


def image(reference: str) -> Image:
    """Official is what is *named* postgres, wherever it was mirrored to."""
    bare = reference.partition("@")[0]
    last = bare.rsplit("/", 1)[-1]
    name, _, tag = last.partition(":")
    number = _TAG.match(tag)
    return Image(name == "postgres", int(number[1]) if number else None, "alpine" in tag)


def settings(argv: list[str]) -> Iterator[Setting]:
    """The server settings among *argv*, names as PostgreSQL folds them (lower case, `-` is `_`)."""
    for index, word in enumerate(argv):
        if word == "-c" and index + 1 < len(argv):
            text, where = argv[index + 1], index + 1
        elif word.startswith(("-c", "--")) and "=" in word:
            text, where = word[2:], index
        else:
            continue
        name, equals, value = text.partition("=")
        if equals:
            yield Setting(name.strip().lower().replace("-", "_"), value.strip(), where)


def _data_directory(argv: list[str], given: tuple[Setting, ...]) -> str:
    """`-D DIR`, `-DDIR`, `--pgdata=DIR` or data_directory; empty where none is given."""
    found = ""
    for index, word in enumerate(argv):
        if word == "-D" and index + 1 < len(argv):
            found = argv[index + 1]
        elif word.startswith("-D/"):
            found = word[2:]
        elif word.startswith("--pgdata="):
            found = word.partition("=")[2]
    for setting in given:
        if setting.name == "data_directory":
            found = setting.value
    return found


def _takes_settings(container: Container, words: list[str], given: tuple[Setting, ...], *, official: bool) -> bool:
    if any(setting.ours for setting in given):  # wherever a later mutator moved them
        return True
    if container.command:
        first, *rest = words
        program = posixpath.basename(first)
        if program in _SERVERS:
            return True
        return program == _ENTRYPOINT and bool(rest) and _is_server(rest[0])
    if not words:
        return official
    if official:
        return _is_server(words[0])
    # An unknown image: its entrypoint hands on what are PostgreSQL's own words, as the official one does.
    return posixpath.basename(words[0]) in _SERVERS or (words[0].startswith("-") and bool(given))


def _is_server(word: str) -> bool:
    return word.startswith("-") or posixpath.basename(word) in _SERVERS
