"""How the container starts PostgreSQL, read from its command and arguments: nothing is run, and no shell is parsed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from pgwarden.injection.known_images import Image, image
from pgwarden.injection.pods import Container, EnvVar, references
from pgwarden.pgbackrest import commands

_SERVERS = frozenset({"postgres", "postmaster"})
_LONGEST_WORD = 4096  # characters: what would grow longer stays as it is
_PORTS = 65536
#: What an argument of the server says, no ALTER SYSTEM overrides.
_BEATS_OURS = re.compile(
    r"(archive_mode\s*=\s*'?(off|always|false|no)|archive_command\s*=|archive_library\s*=|restore_command\s*="
    r"|wal_level\s*=\s*'?minimal)"
)
_ENTRYPOINT = "docker-entrypoint.sh"  # of the official image: hands `postgres` and `-c …` on as they are
_NAME = re.compile(r"[a-z_][a-z0-9_.$]*")
_NUMBER = re.compile(r"[0-9]{1,5}")


class Setting(msgspec.Struct, frozen=True):
    """One `-c name=value` or `--name=value`: `index` counts command and args through, from the word with the value."""

    name: str
    value: str
    index: int

    @property
    def ours(self) -> bool:
        """True for an archive_command or restore_command that an earlier injection put there."""
        return self.name in {"archive_command", "restore_command"} and commands.is_for_postgres(self.value)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What image, command and args tell of the server that they start."""

    image: Image
    settings: tuple[Setting, ...]
    data_directory: str  # empty where none is given
    port: int | None
    socket_directory: str  # empty where none is given
    in_a_shell: str  # a setting inside a shell's string that would beat ours; empty where none is seen
    takes_settings: bool  # whether `-c name=value` appended to the container's args reaches PostgreSQL


def read(container: Container) -> Start:
    words, what = expanded(container.argv, container.environment()), image(container.image)
    given = tuple(settings(words))
    reach = _server_words(container, words)
    said = dict(_options(reach))
    return Start(
        image=what,
        settings=given,
        data_directory=_data_directory(words, given),
        port=_port(said),
        socket_directory=_socket(said),
        in_a_shell=_in_a_shell(words, given),
        takes_settings=_takes_settings(container, words, given, what),
    )


def expanded(words: list[str], environment: dict[str, EnvVar]) -> list[str]:
    """*words* with $(NAME) replaced as the kubelet does; a word whose NAME is not known here stays as it is."""
    return [_expanded_word(word, environment) if "$(" in word else word for word in words]


def _expanded_word(word: str, environment: dict[str, EnvVar]) -> str:
    for name in dict.fromkeys(references(word)):
        variable = environment.get(name)
        value = variable.value if variable is not None and variable.value_from is None else None
        if value is None or "$(" in value or len(word) + len(value) > _LONGEST_WORD:
            continue
        word = word.replace(f"$({name})", value)
    return word


def _server_words(container: Container, words: list[str]) -> list[str]:
    """The words that the server itself reads; none where a program that we do not know reads them."""
    for index, word in enumerate(words):
        if posixpath.basename(word) in _SERVERS:
            return words[index + 1 :]
    return words if not container.command and words and words[0].startswith("-") else []


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Port and socket as the server's own options and settings have them, in their order: the last one wins."""
    for index, word in enumerate(words):
        for option, name in (("-p", "port"), ("-k", "unix_socket_directories")):
            if word == option and index + 1 < len(words):
                yield name, words[index + 1]
            elif word.startswith(option) and len(word) > len(option):
                yield name, word[len(option) :]
        for setting in settings(words[index : index + 2]):
            if setting.index == (1 if word == "-c" else 0) and setting.name in {"port", "unix_socket_directories"}:
                yield setting.name, setting.value


def _port(said: dict[str, str]) -> int | None:
    text = said.get("port", "").strip("'")
    return int(text) if _NUMBER.fullmatch(text) and 0 < int(text) < _PORTS else None


def _socket(said: dict[str, str]) -> str:
    """The first folder: one is enough. An abstract socket (@…) has none."""
    folders = [one.strip().strip("\"'") for one in said.get("unix_socket_directories", "").split(",")]
    return next((posixpath.normpath(one) for one in folders if one.startswith("/")), "")


def _in_a_shell(words: list[str], given: tuple[Setting, ...]) -> str:
    """In a word that is none of the server's own settings, which are looked at one by one."""
    known = {setting.index for setting in given}
    others = (word for index, word in enumerate(words) if index not in known and " " in word)
    found = next((match for word in others if (match := _BEATS_OURS.search(word))), None)
    return found[0] if found else ""


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
        name = name.strip().lower().replace("-", "_")
        if equals and _NAME.fullmatch(name):  # else it is a shell's `-c`
            yield Setting(name, value.strip(), where)


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


def _takes_settings(container: Container, words: list[str], given: tuple[Setting, ...], what: Image) -> bool:
    if any(setting.ours for setting in given):  # wherever a later mutator moved them
        return True
    if container.command:
        first, *rest = words
        program = posixpath.basename(first)
        if program in _SERVERS:
            return True
        return program == _ENTRYPOINT and bool(rest) and _is_server(rest[0])
    if (
        not words
    ):  # an image's CMD cannot be seen: only where it is known to be no more than `postgres` ours replaces it
        return what.known is not None and what.known.plain_command
    if what.known is not None:
        return what.known.hands_on and _is_server(words[0])
    # An unknown image: its entrypoint hands on what are PostgreSQL's own words, as the official one does.
    return posixpath.basename(words[0]) in _SERVERS or (words[0].startswith("-") and bool(given))


def _is_server(word: str) -> bool:
    return word.startswith("-") or posixpath.basename(word) in _SERVERS
