"""From words to a Command and its values. Unknown words are answered with those that are near."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from pgwarden.api.registry import BY_WORD
from pgwarden.cli import usage_message
from pgwarden.cli.commands import COMMANDS, GLOBAL, KNOWN_AS
from pgwarden.cli.errors import UsageError, near
from pgwarden.cli.spec import Argument, Command, Option

_HELP = ("-h", "--help")
#: Their values begin with dashes: `--backup-opts --type=full` is read as `--backup-opts=--type=full`.
_TAKE_DASHES = ("--backup-opts", "--schedule-opts")

#: What kubectl deletes: the webhook has the guards, and there is nothing to add.
_BY_KUBECTL = ("repository", "restore")


class HelpWanted(Exception):
    """`text` is to be printed, and nothing else done."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{usage_message.plain(message)}; see `{self.prog} --help`")


def parse(words: Sequence[str], prog: str = "pgwarden") -> tuple[Command, argparse.Namespace]:
    """UsageError where they are not a command; HelpWanted where help was asked for."""
    command, rest = find(words, prog)
    parser = build(command, prog)
    if any(word in _HELP for word in _before_separator(rest)):
        raise HelpWanted(parser.format_help())
    values, strange = parser.parse_known_args(_joined(command, rest))
    if strange:
        raise UsageError(_strange(command, strange, prog))
    for name, value in command.preset.items():
        setattr(values, name, value)
    return command, values


def find(words: Sequence[str], prog: str) -> tuple[Command, list[str]]:
    """The command that *words* begin with, options of GLOBAL before it allowed, and all other words."""
    before, rest = split_global(words)
    if not rest or rest[0] in _HELP:
        raise HelpWanted(overview(prog))
    if rest[0].startswith("-"):
        known = [flag for option in GLOBAL for flag in option.flags]
        raise UsageError(f"unknown option {rest[0]} before the command{near(rest[0], known)}")
    matching = [command for command in COMMANDS if command.words[0] == rest[0]]
    if not matching:
        raise UsageError(_no_command(rest[0], prog))
    if len(matching[0].words) == 1:
        return matching[0], [*before, *rest[1:]]
    return _second_word(matching, before, rest, prog)


def _second_word(matching: list[Command], before: list[str], rest: list[str], prog: str) -> tuple[Command, list[str]]:
    things = [command.words[1] for command in matching]
    if len(rest) > 1 and rest[1] in _HELP:
        raise HelpWanted(overview(prog, matching))
    if len(rest) < 2 or rest[1].startswith("-"):
        raise UsageError(f"{rest[0]} needs one of {', '.join(things)}")
    for command in matching:
        if rest[1] in _spellings(command.words[1]):
            return command, [*before, *rest[2:]]
    hint = near(rest[1], things) or _elsewhere(rest[0], rest[1], prog)
    raise UsageError(f"{rest[0]} takes {', '.join(things)}, not {rest[1]}{hint}")


def _spellings(word: str) -> set[str]:
    """Many type the plural, or kubectl's short name."""
    return {word, f"{word}s", _plural(word)} | ({BY_WORD[word].short_name} if word in BY_WORD else set())


def _elsewhere(first: str, second: str, prog: str) -> str:
    """Where that is done which *first* does not do to *second*."""
    singular = next((word for word in _BY_KUBECTL if second in {word, _plural(word)}), "")
    if first == "delete" and singular:
        return f"; use `kubectl delete {BY_WORD[singular].short_name}`"
    return f"; use `{prog} {second}`" if any(command.words == (second,) for command in COMMANDS) else ""


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _no_command(word: str, prog: str) -> str:
    if word in KNOWN_AS:
        return f"unknown command {word}; use `{prog} {KNOWN_AS[word]}`"
    hint = near(word, [command.words[0] for command in COMMANDS])
    return f"unknown command {word}{hint or f'; see `{prog} --help`'}"


def split_global(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options of GLOBAL before the command, and the rest."""
    takes = {flag: not option.switch for option in GLOBAL for flag in option.flags}
    before: list[str] = []
    rest = list(words)
    while rest and rest[0].partition("=")[0] in takes:
        word = rest.pop(0)
        before.append(word)
        if takes[word.partition("=")[0]] and "=" not in word and rest:
            before.append(rest.pop(0))
    return before, rest


def _joined(command: Command, words: list[str]) -> list[str]:
    """`--dry-run` alone gets its value; an option whose value begins with dashes is joined to it."""
    bare = {flag: option.bare for option in command.options if option.bare for flag in option.flags}
    joined: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*joined, word, *rest]
        if word in bare:
            word = f"{word}={bare[word]}"
        elif word in _TAKE_DASHES and rest:
            word = f"{word}={rest.pop(0)}"
        joined.append(word)
    return joined


def _before_separator(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _strange(command: Command, strange: list[str], prog: str) -> str:
    word = strange[0]
    if not word.startswith("-"):
        return f"unexpected argument {word} of {command.title}; quote a value that contains spaces"
    known = [flag for option in (*command.options, *GLOBAL) for flag in option.flags]
    name = word.partition("=")[0]
    meant = [option.flags[-1] for option in command.options if name in option.known_as]
    hint = f"; use {meant[0]}" if meant else near(name, known)
    return f"{command.title} has no option {name}{hint or f'; see `{prog} {command.title} --help`'}"


def build(command: Command, prog: str = "pgwarden") -> argparse.ArgumentParser:
    examples = "".join(f"\n  {prog} {example}" for example in command.examples)
    parser = _Parser(
        prog=f"{prog} {command.title}",
        description=command.summary[0].upper() + command.summary[1:] + ".",
        epilog=f"example{'s' if len(command.examples) > 1 else ''}:{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in command.arguments:
        _add_argument(parser, argument)
    groups: dict[str, Any] = {}
    for option in command.options:
        if option.group and option.group not in groups:
            groups[option.group] = parser.add_mutually_exclusive_group()
        _add_option(groups.get(option.group, parser), option)
    shared = parser.add_argument_group("options of all commands")
    for option in GLOBAL:
        _add_option(shared, option)
    return parser


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    many: dict[str, Any] = {"nargs": argument.count} if argument.count else {}
    if argument.count == "?":
        many["default"] = ""
    parser.add_argument(argument.name, help=argument.help, metavar=argument.name.upper(), **many)


def _add_option(to: Any, option: Option) -> None:
    if option.switch:
        to.add_argument(*option.flags, dest=option.dest, help=option.help, action="store_true")
        return
    shown = argparse.SUPPRESS if option.hidden else option.help
    settings: dict[str, Any] = {"default": option.default, "help": shown, "dest": option.dest}
    if option.choices:
        settings["choices"] = option.choices
    if option.metavar:
        settings["metavar"] = option.metavar
    if option.number:
        settings["type"] = int
    if option.required:
        settings["required"] = True
    if option.many:
        settings["action"] = "append"
        settings["default"] = None
    to.add_argument(*option.flags, **settings)


def overview(prog: str, commands: Sequence[Command] = COMMANDS) -> str:
    width = max(len(command.title) for command in commands)
    lines = [f"  {command.title:<{width}}  {command.summary}" for command in commands]
    return "\n".join(
        [
            f"usage: {prog} COMMAND … [-n NAMESPACE] [--kubeconfig FILE] [--context NAME]",
            "",
            "Disaster recovery for PostgreSQL on Kubernetes. Each command that changes anything creates, changes or",
            "deletes one resource and does nothing else; --dry-run -o yaml prints it.",
            "",
            *lines,
            "",
            f"`{prog} COMMAND --help` explains one.",
        ]
    )
