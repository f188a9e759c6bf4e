"""Completion: small shell scripts that ask this program, which answers from the table of commands.

Names come from the cluster, within a second or not at all.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Sequence

from pgwarden.cli.commands import COMMANDS, GLOBAL
from pgwarden.cli.errors import OK, UsageError
from pgwarden.cli.parser import split_global
from pgwarden.cli.session import connect, names_of
from pgwarden.cli.spec import Argument, Command, Option
from pgwarden.cli.terminal import Terminal

WORD = "__complete"
_SECONDS = 1.0  # for the cluster's answer
_WORKLOADS = "workloads"
_BASH = """\
_pgwarden() {
    local current="${COMP_WORDS[COMP_CWORD]}" line
    COMPREPLY=()
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
        "${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    # Readline breaks words at `=` as well: what stands before it is there already.
    if [[ $current == --*=* || ${COMP_WORDS[COMP_CWORD-1]} == "=" || $current == "=" ]]; then
        COMPREPLY=("${COMPREPLY[@]#*=}")
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _pgwarden pgwarden kubectl-pgwarden
"""
_ZSH = """\
#compdef pgwarden kubectl-pgwarden
_pgwarden() {
    local -a found
    found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=("${(@)found:#}")
    if (( ${#found} )); then compadd -- "${found[@]}"; else _files; fi
}
compdef _pgwarden pgwarden kubectl-pgwarden
"""
_FISH = """\
function __pgwarden_complete
    set -l words (commandline -opc)
    $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c pgwarden -a '(__pgwarden_complete)'
complete -c kubectl-pgwarden -a '(__pgwarden_complete)'
"""
#: kubectl runs the file kubectl_complete-pgwarden and wants a directive (0: as usual) on the last line.
_KUBECTL = """\
#!/bin/sh
kubectl-pgwarden __complete "$@" 2>/dev/null
echo ":0"
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "kubectl": _KUBECTL}


def script(args: argparse.Namespace, terminal: Terminal) -> int:
    if args.shell not in SCRIPTS:
        raise UsageError(f"no completion for {args.shell}; choose one of {', '.join(SCRIPTS)}")
    terminal.say(SCRIPTS[args.shell])
    return OK


def answer(words: Sequence[str], terminal: Terminal) -> int:
    """*words* are those after the program, the last one unfinished. One candidate a line."""
    found = candidates(_unbroken(words))
    for one in found:
        terminal.say(one)
    return OK


def _unbroken(words: Sequence[str]) -> list[str]:
    """Bash hands `--type=full` over as three words: `--type`, `=`, `full`."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")) and joined[-1].startswith("--"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined or [""]


def candidates(words: Sequence[str]) -> list[str]:
    *before, current = words
    options, rest = split_global(before)
    command, inner = _command(rest)
    if command is None:
        found = [*_next_words(inner), *(_flags(GLOBAL) if current.startswith("-") else [])]
    else:
        found = _of_command(command, inner, current, [*options, *inner])
    return sorted({one for one in found if one.startswith(current)})


def _command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    for command in COMMANDS:
        if tuple(words[: len(command.words)]) == command.words:
            return command, list(words[len(command.words) :])
    return None, list(words)


def _next_words(words: Sequence[str]) -> list[str]:
    depth = len(words)
    fitting = [command.words for command in COMMANDS if command.words[:depth] == tuple(words)]
    return [each[depth] for each in fitting if len(each) > depth]


def _flags(options: Sequence[Option]) -> list[str]:
    return [flag for option in options if not option.hidden for flag in option.flags if flag.startswith("--")]


def _of_command(command: Command, words: list[str], current: str, all_words: list[str]) -> list[str]:
    options = (*command.options, *GLOBAL)
    by_flag = {flag: option for option in options for flag in option.flags}
    flag, equals, _ = current.partition("=")
    if equals and flag in by_flag:
        return [f"{flag}={choice}" for choice in by_flag[flag].choices]
    if current.startswith("-"):
        given = {word.partition("=")[0] for word in words}
        return [each for each in _flags(options) if each not in given]
    asked = by_flag.get(words[-1]) if words else None
    if asked is not None and not asked.switch and not asked.bare:
        return list(asked.choices)
    argument = _argument(command, words, by_flag)
    if argument is None or not argument.names:
        return list(SCRIPTS) if command.words == ("completion",) else []
    return _names(argument.names, all_words)


def _argument(command: Command, words: list[str], by_flag: dict[str, Option]) -> Argument | None:
    """Which positional argument comes next."""
    taken, skip = 0, False
    for word in words:
        option = by_flag.get(word)
        if skip:
            skip = False
        elif option is not None:
            skip = not option.switch and not option.bare
        elif not word.startswith("-"):
            taken += 1
    if taken < len(command.arguments):
        return command.arguments[taken]
    last = command.arguments[-1] if command.arguments else None
    return last if last is not None and last.count == "+" else None


def _names(plural: str, words: list[str]) -> list[str]:
    """What the cluster has, if it answers in time; completion reports no errors."""
    values = argparse.Namespace(namespace="", kubeconfig="", context="")
    rest = list(words)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        for option in GLOBAL:
            if flag in option.flags and not option.switch:
                setattr(values, option.dest, value if equals else rest.pop(0) if rest else "")
    try:
        importlib.import_module("kubernetes.aio.config")  # before the clock runs
        return asyncio.run(_listed(plural, values))
    except Exception:  # noqa: BLE001
        return []


async def _listed(plural: str, values: argparse.Namespace) -> list[str]:
    async with asyncio.timeout(_SECONDS), connect(values) as session:
        if plural != _WORKLOADS:
            return names_of(await session.all(plural))
        kinds = ("statefulsets", "deployments")
        listed = await asyncio.gather(*map(session.all, kinds))
        return [f"{kind[:-1]}/{name}" for kind, found in zip(kinds, listed, strict=True) for name in names_of(found)]
