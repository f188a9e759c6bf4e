"""inject: what the webhook would do to labelled pods, by its own core and without a cluster."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pgwarden import __version__
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.api.schema import with_defaults
from pgwarden.cli import output
from pgwarden.cli.documents import Document, read_all
from pgwarden.cli.errors import OK, WRONG, refused
from pgwarden.cli.lint import is_ours
from pgwarden.cli.lookup import Objects, placed
from pgwarden.cli.terminal import Terminal
from pgwarden.injection.decide import Inject, Refuse, Skip
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import MISPLACED, decision, injected, misplaced_label, template_of

MOST_LINES = 5000  # of a document that is compared
#: The chart's default: its image's name, and its appVersion.
IMAGE = f"pgwarden:{__version__}"


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    documents = read_all(args.file, terminal.source)
    broken = [f"{each.file}:{line}: {fault.message}" for each in documents for line, fault in each.faults]
    if broken:
        raise refused("input", broken)
    namespace = args.namespace or "default"
    ours = [placed(with_defaults(each.obj), namespace) for each in documents if is_ours(each.obj)]
    lookup = Objects(ours, namespace, args.repository or ())
    after: list[tuple[Document, Object]] = []
    faults: list[str] = []
    for document in documents:
        changed, said, warnings = one(document.obj, namespace, lookup, args.image or IMAGE)
        for text in warnings:
            terminal.note(f"warning: {title(document.obj)}: {text}")
        faults += [f"{document.file}:{document.line(field)}: {title(document.obj)}: {text}" for field, text in said]
        after.append((document, changed))
    if args.output == "yaml":
        terminal.say("---\n".join(output.as_yaml(changed) for _, changed in after))
    else:
        lines = [line for document, changed in after for line in diff(document, changed)]
        terminal.say("\n".join(lines)) if lines else terminal.note(
            f"nothing to inject: no pod here has the label {names.LABEL_REPOSITORY}, or all are injected already"
        )
    for fault in faults:
        terminal.note(f"refused: {fault}")
    return WRONG if faults else OK


def one(obj: Any, namespace: str, lookup: Objects, image: str) -> tuple[Any, Sequence[tuple[str, str]], Sequence[str]]:
    """The document afterwards, why it would be refused (fields and sentences), and of what the webhook would warn."""
    template = template_of(obj, namespace)
    if template is None:
        return obj, (), ()
    decided = decision(template, lookup.repository, Settings(image=image))
    match decided:
        case Inject():
            return injected(obj, template, decided), (), decided.warnings
        case Refuse(faults):
            fields = [template.field(fault.field) for fault in faults]
            said = [(field, f"{field}: {fault.message}") for field, fault in zip(fields, faults, strict=True)]
            return obj, said, ()
        case Skip():
            if misplaced_label(obj, template):
                return obj, [("metadata.labels", f"metadata.labels[{names.LABEL_REPOSITORY}]: {MISPLACED}")], ()
            return obj, (), ()


def title(obj: Any) -> str:
    kind, name = get(obj, str, "kind") or "object", get(obj, str, "metadata", "name") or ""
    return f"{kind} {name}".strip()


def diff(document: Document, changed: Any) -> Iterator[str]:
    """Both sides are formatted the same way, so that only the injection shows."""
    before, after = output.as_yaml(document.obj).splitlines(), output.as_yaml(changed).splitlines()
    heads = (f"{document.file} ({title(document.obj)})", f"{document.file} ({title(document.obj)}, injected)")
    if before != after and len(before) > MOST_LINES:  # comparing takes more than its square
        yield from (
            f"--- {heads[0]}",
            f"+++ {heads[1]}",
            f"@@ {len(before)} lines are too many to compare; use -o yaml @@",
        )
        return
    yield from difflib.unified_diff(before, after, *heads, lineterm="")
