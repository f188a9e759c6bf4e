"""discover: every PostgreSQL that the user may see, protected or not, and what would protect it. It changes nothing."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from pgwarden.api.objects import Object
from pgwarden.api.schema import with_defaults
from pgwarden.cli import creation, discover_report, output, repository_resources
from pgwarden.cli.errors import OK, UNABLE, CliError
from pgwarden.cli.inject import IMAGE
from pgwarden.cli.session import Session, connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.discovery.findings import INJECTABLE, Finding, MakeRepository, Seen, findings
from pgwarden.injection.settings import Settings
from pgwarden.kube import errors

_KINDS = {"pods": "Pod", "statefulsets": "StatefulSet", "deployments": "Deployment", "repositories": "Repository"}


@dataclass
class Look:
    """What was read, and what could not be."""

    of: dict[str, list[Object]] = field(default_factory=lambda: {plural: [] for plural in _KINDS})
    unseen: dict[str, list[str]] = field(default_factory=dict)  # plural → namespaces; "" is all
    installed: bool = True

    @property
    def seen(self) -> Seen:
        return Seen(
            workloads=(*self.of["statefulsets"], *self.of["deployments"]),
            pods=tuple(self.of["pods"]),
            repositories=tuple(self.of["repositories"]),
            knows_repositories="repositories" not in self.unseen,
        )

    def notes(self) -> list[str]:
        said = [
            f"not looked at: {plural} of {', '.join(filter(None, where)) or 'all namespaces'} (no right to list them)"
            for plural, where in self.unseen.items()
        ]
        return said if self.installed else [*said, "pgwarden is not installed in this cluster: it has no Repositories"]


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    make = _maker(args)
    make("default", "one")  # options that contradict each other are told before anything is read
    async with connect(args) as session:
        look = await _look(session, everywhere=args.all_namespaces)
        where = "the cluster" if args.all_namespaces else f"namespace {session.namespace}"
        if not args.all_namespaces and not any(look.of.values()) and await session.is_namespace_missing():
            raise CliError(f"namespace {session.namespace} does not exist")
    found = findings(look.seen, make, Settings(image=IMAGE, defaults=creation.DEFAULTS))
    _show(args, terminal, found, where)
    for text in look.notes():
        terminal.note(f"note: {text}")
    return UNABLE if {"pods", "statefulsets", "deployments"} <= look.unseen.keys() and not found else OK


def _show(args: argparse.Namespace, terminal: Terminal, found: list[Finding], where: str) -> None:
    if args.output == "json":
        terminal.say(output.as_json([discover_report.as_data(one) for one in found]))
    elif args.output == "yaml":
        _show_manifests(terminal, discover_report.manifests(found, _maker(args, defaults=False)))
    elif not found:
        terminal.say(f"no PostgreSQL found in {where}")
    else:
        terminal.say("\n".join(discover_report.as_text(found)))
        terminal.note(discover_report.summary(found))
        if any(one.state == INJECTABLE for one in found):
            terminal.note("to protect one: kubectl pgwarden protect statefulset/NAME -n NAMESPACE")
            terminal.note("for Git: kubectl pgwarden discover -o yaml")


def _show_manifests(terminal: Terminal, made: list[Object]) -> None:
    if not made:
        terminal.note("no PostgreSQL here can be protected that is not")
        return
    terminal.say("---\n".join(output.as_yaml(one) for one in made))
    for line in discover_report.HOW_TO_APPLY:
        terminal.note(line)
    secrets = discover_report.secrets_of(made)
    if secrets:
        terminal.note(f"these Secrets with S3 keys must be there first: {', '.join(secrets)}")


def _maker(args: argparse.Namespace, *, defaults: bool = True) -> MakeRepository:
    def make(namespace: str, name: str) -> Object:
        made = repository_resources.repository(argparse.Namespace(**(vars(args) | {"namespace": namespace})), name)
        return with_defaults(made) if defaults else made

    return make


async def _look(session: Session, *, everywhere: bool) -> Look:
    """All that the user's rights show: across namespaces where they reach, else namespace by namespace."""
    look = Look()
    for plural in _KINDS:
        if await _list(session, look, plural, "" if everywhere else session.namespace) or not everywhere:
            continue
        namespaces = await _namespaces(session)
        if namespaces:
            look.unseen.pop(plural)
        for namespace in namespaces:
            await _list(session, look, plural, namespace)
    return look


async def _list(session: Session, look: Look, plural: str, namespace: str) -> bool:
    try:
        there = await session.all(plural, namespace)
    except errors.NotFound:
        if plural != "repositories":
            raise
        look.installed = False
        return True
    except errors.Invalid as error:
        if error.status != 403:
            raise
        look.unseen.setdefault(plural, []).append(namespace)
        return False
    look.of[plural] += [{"kind": _KINDS[plural]} | one for one in there]
    return True


async def _namespaces(session: Session) -> list[str]:
    """Empty where they may not be listed."""
    try:
        return names_of(await session.all("namespaces", ""))
    except errors.Invalid:
        return []
