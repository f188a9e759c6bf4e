"""Manifests from files: each document as the API server would read it, and the line of each field."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from pgwarden.api.faults import Fault
from pgwarden.cli.errors import CliError

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
#: Aliases may be nested: a file of a kilobyte can stand for more than memory holds.
MOST_NODES = 1_000_000
_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Times stay text, as they do for kubectl."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """`obj` is JSON. A document that could not be read has None, and says why in `faults` (line → Fault)."""

    file: str
    obj: Any
    node: yaml.Node | None = None
    faults: tuple[tuple[int, Fault], ...] = ()

    def line(self, field: str) -> int:
        """The line of *field* (`spec.options[1]`), or of what is nearest above it."""
        node = self.node
        if node is None:
            return 1
        line = node.start_mark.line + 1
        for part in _PART.finditer(field):
            found = _child(node, part[1] if part[1] is not None else part[2])
            if found is None:
                break
            line, node = found
        return line


def _child(node: yaml.Node, name: str) -> tuple[int, yaml.Node] | None:
    """Line and value of an entry: by key, by index, or by the `name` of an element."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if str(index) == name or (isinstance(value, yaml.MappingNode) and _scalar(value, "name") == name):
                return value.start_mark.line + 1, value
    return None


def _scalar(node: yaml.MappingNode, name: str) -> str:
    return next((str(value.value) for key, value in node.value if key.value == name), "")


def read_all(names: Sequence[str], source: TextIO | None = None) -> list[Document]:
    """The documents of files, directories and `-`. CliError where one of *names* cannot be read."""
    found: list[Document] = []
    for name in names:
        if name == STDIN:
            found += read("stdin", (source or sys.stdin).read())
            continue
        for path in _files(Path(name)):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise CliError(f"cannot read {path}: {error}") from None
            found += read(path.as_posix(), text)
    return found


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise CliError(f"{path}: no such file or directory")
    if not path.is_dir():
        return [path]
    found = sorted(
        each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file() and not _hidden(each, path)
    )
    if not found:
        raise CliError(f"directory {path} has no {', '.join(SUFFIXES)} file")
    return found


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def read(file: str, text: str) -> list[Document]:
    if text.lstrip().startswith(("{", "[")):
        text = text.replace("\t", " ")  # JSON may be indented with tabs, YAML may not
    found: list[Document] = []
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            if node is not None:
                found += _documents(file, node, text)
    except yaml.YAMLError as error:
        found.append(_broken(file, text, error))
    except RecursionError:
        found.append(Document(file, None, None, ((1, Fault("", None, "is nested too deeply", "yaml")),)))
    return found


def _broken(file: str, text: str, error: yaml.YAMLError) -> Document:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error)
    fault = Fault("", None, f"is not valid YAML: {said}{_template_hint(text)}", "yaml")
    return Document(file, None, None, ((mark.line + 1 if mark else 1, fault),))


def _template_hint(text: str) -> str:
    return "; if it is a template, render it first: helm template … | pgwarden lint -" if "{{" in text else ""


def _documents(file: str, node: yaml.Node, text: str) -> Iterator[Document]:
    """One, or where it is a List its items."""
    if _nodes(node, {}) > MOST_NODES:
        said = "its aliases expand to too many nodes, or to themselves"
        yield Document(file, None, None, ((node.start_mark.line + 1, Fault("", None, said, "yaml")),))
        return
    if isinstance(node, yaml.MappingNode) and _scalar(node, "kind").endswith("List"):
        items = next((value for key, value in node.value if key.value == "items"), None)
        if isinstance(items, yaml.SequenceNode):
            for item in items.value:
                yield from _documents(file, item, text)
            return
    faults = [*_repeated(node, "")]
    try:
        obj = json.loads(json.dumps(_construct(node)))
    except (TypeError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None) or node.start_mark
        said = f"{getattr(error, 'problem', None) or error}{_template_hint(text)}"
        faults.append((mark.line + 1, Fault("", None, f"cannot be converted to JSON: {said}", "yaml")))
        obj = None
    yield Document(file, obj, node, tuple(faults))


def _construct(node: yaml.Node) -> Any:
    loader = _Loader("")  # of a document that was composed already
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are with every alias written out; one that holds itself counts as too many."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_NODES + 1
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    elif isinstance(node, yaml.MappingNode):
        children = [value for _, value in node.value]
    known[id(node)] = 1 + sum(_nodes(child, known) for child in children)
    return known[id(node)]


def _repeated(node: yaml.Node, path: str) -> Iterator[tuple[int, Fault]]:
    """Duplicate keys: the API server refuses them, and other readers take one of the two."""
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, f"{path}[{index}]")
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        field = f"{path}.{key.value}" if path else str(key.value)
        line = key.start_mark.line + 1
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if name and name in seen and name != "<<":
            yield line, Fault(field, None, f"is a duplicate key, first on line {seen[name]}", "yaml")
        seen.setdefault(name, line)
        yield from _repeated(value, field)
