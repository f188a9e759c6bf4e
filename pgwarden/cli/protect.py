"""protect and create repository: each creates a Repository, and protect prints the command that adds the label.

A label that comes before its Repository takes the database down: its new pod is refused. So the Repository comes
first, the pods are judged by the webhook's own core before anything is created, and the last step is the user's.
"""

from __future__ import annotations

import argparse

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.api.schema import with_defaults
from pgwarden.cli import creation, output, repository_resources, submit, wait, workload_label
from pgwarden.cli.errors import OK, WRONG, CliError, refused, unknown
from pgwarden.cli.inject import IMAGE
from pgwarden.cli.operate import settle
from pgwarden.cli.session import Session, connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.cli.workload_label import Workload
from pgwarden.injection.decide import Refuse
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import decision, labelled
from pgwarden.kube.client import find_named

_PLURAL = "repositories"


async def create_repository(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    obj = repository_resources.repository(args, args.name)
    if args.dry_run == "client":
        creation.offline(args, terminal, obj)
        return OK
    async with connect(args) as session:
        hint = (
            f"next: put the label {names.LABEL_REPOSITORY}={args.name} on the pod template of PostgreSQL; "
            f"`kubectl pgwarden protect statefulset/NAME --repository={args.name}` prints the command"
        )
        return await creation.create(args, terminal, session, obj, lambda _: hint)


async def protect(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    target = workload_label.parse(args.workload)
    args.repository = args.repository or target.name
    obj = repository_resources.repository(args, args.repository)
    if args.dry_run == "client":
        creation.offline(args, terminal, obj)
        terminal.note(f"then: {_patch(args, target)}")
        return OK
    async with connect(args) as session:
        args.namespace = session.namespace
        found = await _find(session, target)
        there = await session.find(_PLURAL, args.repository)
        _judge_pods(found, target, there or obj)
        if there is None:
            there = await creation.on_cluster(args, terminal, session, obj)
            terminal.say(submit.answer(there, args))
        else:
            _existing(args, terminal, there, target)
        if args.wait and not args.dry_run:
            code = await wait.until_over(session, terminal, _PLURAL, there, args.timeout)
            if code != OK:
                return code
    _tell(args, terminal, found, target)
    return OK


async def _find(session: Session, target: Workload) -> Object:
    """CliError, with names that are near, where there is none."""
    found = await find_named(session.client, target.plural, session.namespace, target.name)
    if found is not None:
        return {"kind": target.kind} | found
    if await session.is_namespace_missing():
        raise CliError(f"namespace {session.namespace} does not exist", code=WRONG)
    other = target.other_kind()
    if await find_named(session.client, other.plural, session.namespace, other.name) is not None:
        text = f"there is no {target.kind} {target.name} in namespace {session.namespace}, but there is a {other.kind}"
        raise CliError(f"{text}; give {other}", code=WRONG)
    there = [obj for obj in await session.all(target.plural) if not _is_ours(obj)]
    raise unknown(target.kind, target.name, session.namespace, names_of(there))


def _is_ours(workload: Object) -> bool:
    """A repository host, or an instance of a PostgresCluster: nobody protects these by hand."""
    owners = objects(workload, "metadata", "ownerReferences")
    return any(str(owner.get("apiVersion")).startswith(f"{names.GROUP}/") for owner in owners)


def _judge_pods(found: Object, target: Workload, repository: Object) -> None:
    """CliError where the webhook would refuse the pods: their workload would be down."""
    name = repository["metadata"]["name"]
    template = labelled(found, name)
    if template is None:
        return
    known = with_defaults(repository)
    decided = decision(template, lambda _, __: known, Settings(image=IMAGE, defaults=creation.DEFAULTS))
    if isinstance(decided, Refuse):
        faults = [f"{template.field(fault.field)}: {fault.message}" for fault in decided.faults]
        raise refused(f"the pods of {target} with the label would be", faults)


def _existing(args: argparse.Namespace, terminal: Terminal, repository: Object, target: Workload) -> None:
    name = repository["metadata"]["name"]
    if args.output:
        terminal.say(output.formatted(repository, args.output))
    terminal.note(f"note: Repository {name} already exists and is left as it is")
    pods = [str(pod.get("name")) for pod in objects(repository, "status", "pods")]
    others = [pod for pod in pods if not pod.startswith(f"{target.name}-")]
    if others:
        terminal.note(
            f"note: Repository {name} already serves pod {', '.join(others[:3])}; each PostgreSQL cluster needs one of "
            "its own: choose another name with --repository"
        )


def _tell(args: argparse.Namespace, terminal: Terminal, found: Object, target: Workload) -> None:
    if workload_label.label_of(found) == args.repository:
        terminal.note(f"the pod template of {target} carries the label already; nothing is left to do")
        return
    for line in workload_label.consequences(found, target):
        terminal.note(f"note: {line}")
    terminal.note("To protect it, run:")
    line = _patch(args, target)
    if args.output:
        terminal.note(line)  # standard output is the resource
    else:
        terminal.say(line)
    if get(found, int, "spec", "replicas") != 0:
        where = f" -n {args.namespace}" if args.namespace else ""
        terminal.note(f"then: kubectl wait pgrepo/{args.repository}{where} --for condition=Archiving --timeout 5m")


def _patch(args: argparse.Namespace, target: Workload) -> str:
    return workload_label.patch(target, args.repository, tuple(creation.kubectl_options(args)))
