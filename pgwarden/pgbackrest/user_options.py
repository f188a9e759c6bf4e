"""The pgBackRest options that a user may set: an allow-list with types, for each place where they can be written.

What is not on it is refused: options that pgwarden sets itself (connection, paths, stanza), that carry secrets, that
run programs, or that point out of the volumes. The names and ranges are those of pgBackRest's own build/config.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.api.bounds import UNREAD
from pgwarden.api.faults import MOST, Fault, brief
from pgwarden.api.near import near
from pgwarden.pgbackrest.option_table import ALLOWED, REFUSED, Command, Option

KIND_OF = {"backup": "a backup", "restore": "a restore", "repository": "a Repository"}
_NUMBERED = re.compile(r"(repo|pg)([0-9]*)-(.+)")
_RETENTION = re.compile(r"repo[0-9]+-retention-(?:full|diff|archive|history)")
_SECRET = re.compile(r"key|secret|token|pass", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTES = re.compile(r"['\"\\]")
#: Blanks, and the parts of a word: bare, escaped, and in quotes of either kind.
_PART = re.compile(r"""([ \t\r\n]+)|([^ \t\r\n'"\\]+)|\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["\\])""")
#: The end of options of which there may be several in a pgbackrest.conf.
REPEATED = "-storage-tag"
Storages = Sequence[str]
_REMEMBERED = 256  # lists of options without a fault
_LONG = 1024  # characters: what is longer could be made to fill memory, and is parsed each time
_ENTRIES, _ENTRY = 32, 1024  # as in the CRDs: what is larger is not looked into, by whatever door it came
_THESE = "is not an allowed option; allowed are "
_good: BoundedDict[tuple[object, ...], ParsedOptions] = BoundedDict(_REMEMBERED)


class ParsedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options in one spelling.

    `arguments` are all but the type, as pgBackRest's command line takes them (`--name=value`, `--flag`, `--no-flag`),
    each once and in the order given; `retention` are those of them that say how long backups are kept.
    """

    type: str = ""
    arguments: tuple[str, ...] = ()
    retention: dict[str, int] = {}

    @property
    def settings(self) -> dict[str, str]:
        """The same as lines of pgbackrest.conf; several of one name are lines of one value."""
        settings: dict[str, str] = {}
        for argument in self.arguments:
            name, equals, value = argument.removeprefix("--").partition("=")
            if equals and name.endswith(REPEATED) and name in settings:
                settings[name] += f"\n{value}"
            elif equals:
                settings[name] = value
            else:
                settings[name.removeprefix("no-")] = "n" if name.startswith("no-") else "y"
        return settings


class _Given(msgspec.Struct, frozen=True):
    """One option as it was written. `value` is None for a flag."""

    field: str
    written: str
    name: str
    value: str | None

    @property
    def text(self) -> str:
        """As a refusal may show it: the API server and its audit log keep what a webhook answers."""
        secret = self.value is not None and _SECRET.search(self.name)
        return f"--{self.name[:100]}=…" if secret else _brief(self.written)


def parse_options(
    options: Any, *, command: Command, storages: Storages | None = None, field: str = "spec.options"
) -> tuple[ParsedOptions, list[Fault]]:
    """Every fault at once, and what of *options* is good. *storages* (None: unknown) bounds the N of repoN-….

    The 50 faults after which nobody reads on have all their words, later ones few.
    """
    if options is None:
        return ParsedOptions(), []
    if not isinstance(options, list | tuple):
        return ParsedOptions(), [
            Fault(field, _brief(options), "must be a list of strings such as --process-max=4", "options")
        ]
    if len(options) > _ENTRIES:
        message = f"must have at most {_ENTRIES} entries, not {len(options)}"
        return ParsedOptions(), [Fault(field, "(a list)", message, "options")]
    question = _question(options, command, storages)
    known = _good.get(question) if question else None
    if known is not None:
        return known, []
    parsed, faults = _parse(options, command, storages, field)
    if question and not faults:
        _good[question] = parsed
    return parsed, faults


def _question(options: Sequence[Any], command: Command, storages: Storages | None) -> tuple[object, ...]:
    """All that the parsed options depend on, where they are good; empty where they are not to be remembered.

    The same list comes at least twice: /check and /validate ask of it, and the rules of what else names the Repository.
    """
    if not set(map(type, options)) <= {str} or sum(map(len, options)) > _LONG:
        return ()
    return command, None if storages is None else tuple(storages), *options


def _parse(
    options: Sequence[Any], command: Command, storages: Storages | None, field: str
) -> tuple[ParsedOptions, list[Fault]]:
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    arguments: list[str] = []
    kind, retention, listed = "", dict[str, int](), False
    for given in _given(options, field, command, faults):
        problem, argument = _check(given, command, storages, brief=len(faults) >= MOST)
        if problem.startswith(_THESE):  # one list of them is enough
            problem, listed = _THESE.partition(";")[0] if listed else problem, True
        name = given.name.removeprefix("no-") if argument.startswith("--no-") else given.name
        if not problem and name in seen and not _repeats(name):
            problem = "is repeated; remove it" if seen[name] == argument else f"contradicts {seen[name]}; remove one"
        if problem:
            faults.append(Fault(given.field, given.text, problem, "options"))
            continue
        seen[name] = argument
        if name == "type":
            kind = given.value or ""
            continue
        arguments.append(argument)
        if _RETENTION.fullmatch(name):
            retention[name] = int(given.value or 0)
    return ParsedOptions(type=kind, arguments=tuple(arguments), retention=retention), faults


def _given(options: Sequence[Any], field: str, command: Command, faults: list[Fault]) -> Iterator[_Given]:
    for number, entry in enumerate(options):
        if entry is UNREAD:
            continue
        where = f"{field}[{number}]"
        if not isinstance(entry, str):
            faults.append(Fault(where, _brief(entry), "must be a string such as --process-max=4", "options"))
            continue
        if len(entry) > _ENTRY:
            faults.append(Fault(where, _brief(entry), f"must have at most {_ENTRY} characters", "options"))
            continue
        if _CONTROL.search(entry):
            faults.append(Fault(where, _brief(entry), "must be a single line without control characters", "options"))
            continue
        try:
            words = _split(entry)
        except ValueError as error:
            faults.append(Fault(where, _brief(entry), f"has an unclosed quotation mark or escape ({error})", "options"))
            continue
        if not words:
            faults.append(Fault(where, entry, "is empty", "options"))
        yield from _words(words, where, command, faults)


def _split(entry: str) -> list[str]:
    """As shlex.split does, but in a time that grows with the length alone. ValueError where a quote is open."""
    if not _QUOTES.search(entry):
        return [word for word in entry.split(" ") if word]
    words: list[str] = []
    word: list[str] | None = None  # the parts of the one that is being read
    at = 0
    while at < len(entry):
        part = _PART.match(entry, at)
        if part is None:
            open_escape = entry[at] == "\\" or (entry[at] == '"' and _ESCAPED.sub("", entry[at:]).endswith("\\"))
            raise ValueError("No escaped character" if open_escape else "No closing quotation")
        at = part.end()
        if part[1] is not None:
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        _, bare, escaped, single, double = part.groups()
        said = _ESCAPED.sub(r"\1", double) if double is not None else bare or escaped or single or ""
        if word is None:
            word = []
        word.append(said)
    return words if word is None else [*words, "".join(word)]


def _words(words: list[str], where: str, command: Command, faults: list[Fault]) -> Iterator[_Given]:
    """`--name=value`, `--name value` and `--flag`."""
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if not word.startswith("--") or len(word) < 3:
            hint = f"; did you mean --{word.lstrip('-')}?" if word.startswith("-") and word.strip("-") else ""
            message = f"must begin with two dashes{hint}" if word.startswith("-") else _stray(word)
            faults.append(Fault(where, _brief(word), message, "options"))
            continue
        name, equals, value = word[2:].partition("=")
        if equals:
            yield _Given(where, word, name, value)
        elif rest and not rest[-1].startswith("--") and not _is_flag(name, command):
            value = rest.pop()
            yield _Given(where, f"{word}={value}", name, value)
        else:
            yield _Given(where, word, name, None)


def _stray(word: str) -> str:
    if "=" in word or word in ALLOWED:
        return f"must begin with two dashes; write --{word}"
    return "is not an option; write options only, such as --process-max=4"


def _is_flag(name: str, command: Command) -> bool:
    option = _find(name, command)[0] or _find(name.removeprefix("no-"), command)[0]
    return option is not None and option.type == "boolean"


def _find(name: str, command: Command) -> tuple[Option | None, str]:
    """The option on the allow-list, and its name there (`repo-…` for `repo1-…`)."""
    numbered = _NUMBERED.fullmatch(name)
    plain = f"{numbered[1]}-{numbered[3]}" if numbered and numbered[2] else name
    option = ALLOWED.get(plain)
    return (option if option and command in option.commands else None), plain


def _check(given: _Given, command: Command, storages: Storages | None, *, brief: bool = False) -> tuple[str, str]:
    """What is wrong with it, *brief* or with the way out, or else its argument."""
    name, negated = given.name, False
    option, plain = _find(name, command)
    if option is None and name.startswith("no-"):
        positive, positive_plain = _find(name.removeprefix("no-"), command)
        if positive is not None and positive.type == "boolean":
            option, plain, name, negated = positive, positive_plain, name.removeprefix("no-"), True
    if option is None:
        return "is refused" if brief else _refusal(name, command), ""
    problem = _number_problem(name, plain, storages)
    if problem:
        return problem, ""
    if option.type == "boolean":
        return _boolean(given, name, negated=negated)
    if given.value is None or not given.value:
        return f"needs a value: {option.expects}", ""
    problem = option.problem(given.value)
    return problem, "" if problem else f"--{name}={given.value}"


def _boolean(given: _Given, name: str, *, negated: bool) -> tuple[str, str]:
    if given.value is None:
        return "", f"--no-{name}" if negated else f"--{name}"
    if negated or given.value not in {"y", "n"}:
        return f"is a flag; write --{name} or --no-{name}", ""
    return "", f"--{name}" if given.value == "y" else f"--no-{name}"


def _number_problem(name: str, plain: str, storages: Storages | None) -> str:
    if not plain.startswith("repo-"):
        return "" if name == plain else f"takes no number: write --{plain}"
    if name == plain:
        return f"names no storage; write --{plain.replace('repo-', 'repo1-', 1)} for the first one"
    text = name.removeprefix("repo").split("-", 1)[0]
    if text.startswith("0") or len(text) > 3 or (storages is not None and int(text) > len(storages)):
        known = ", ".join(f"repo{number} ({storage})" for number, storage in enumerate(storages or (), 1))
        return f"there is no storage {text[:8]}" + (f"; this Repository has only {known}" if known else "")
    return ""


def _refusal(name: str, command: Command) -> str:
    plain = _find(re.sub(r"^(no-|reset-)+", "", name), command)[1]
    for pattern, reason in REFUSED:
        if (not pattern.commands or command in pattern.commands) and pattern.matches(plain):
            return reason
    elsewhere = ALLOWED.get(plain)
    if elsewhere is not None and command in elsewhere.commands and elsewhere.type == "boolean":
        return f"is a flag; write --{_shown(plain)} or --no-{_shown(plain)}"
    if elsewhere is not None and command in elsewhere.commands:
        return f"cannot be negated or reset; set it to {elsewhere.expects}"
    if elsewhere is not None:
        places = " and ".join(
            KIND_OF[place] for place in ("backup", "restore", "repository") if place in elsewhere.commands
        )
        return f"is not an option of {KIND_OF[command]}, only of {places}"
    allowed = sorted(name for name, option in ALLOWED.items() if command in option.commands)
    meant = near(plain, allowed, cutoff=0.7)
    if meant:
        return f"is not an allowed option; did you mean --{_shown(meant[0])}?"
    return _THESE + ", ".join(f"--{_shown(name)}" for name in allowed)


def _shown(name: str) -> str:
    return name.replace("repo-", "repo1-", 1) if name.startswith("repo-") else name


def _repeats(name: str) -> bool:
    return name in {"annotation", "db-include", "db-exclude"} or name.endswith(REPEATED)


def _brief(value: Any) -> str:
    """Enough of *value* to find it again."""
    return brief(value if isinstance(value, str) else f"({type(value).__name__})")
