"""create, update, scale and delete of a PostgresCluster: each makes, changes or deletes that one resource."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.cli import cluster_data_loss, cluster_resources, creation, output, submit
from pgwarden.cli.errors import OK, UNABLE, CliError, UsageError, unknown
from pgwarden.cli.lookup import assumed
from pgwarden.cli.operate import settle, sure
from pgwarden.cli.output import count
from pgwarden.cli.session import Session, connect, known_namespace, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.kube.client import MERGE

_PLURAL = "postgresclusters"


async def create(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await make(args, terminal, cluster_resources.cluster(args))


async def clone(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await make(args, terminal, cluster_resources.clone(args))


async def make(args: argparse.Namespace, terminal: Terminal, obj: Object) -> int:
    if args.dry_run == "client":
        namespace = args.namespace or known_namespace(args) or "default"
        creation.offline(args, terminal, obj, [_assumed_source(args, namespace)] if _is_clone(obj) else [])
        return OK
    async with connect(args) as session:
        return await creation.create(args, terminal, session, obj, submit.look)


def _is_clone(obj: Object) -> bool:
    return "dataSource" in obj["spec"]


def _assumed_source(args: argparse.Namespace, namespace: str) -> Object:
    """The Repository that is copied: offline it is assumed to exist, and to allow the clone."""
    found = assumed(args.source_namespace or namespace, args.source)
    return found | {"spec": found["spec"] | {"cloneableFrom": ["*"]}}


async def update(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    wanted = args.autofail in {"true", "on"}
    change = cluster_resources.change(args, {"autofail": wanted})
    return await _change(args, terminal, change, f"spec.autofail is {str(wanted).lower()}")


async def scale(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    for flag, number in (("--replicas", args.replicas), ("--replica-count", args.replica_count)):
        if number is not None and number < 1:
            raise UsageError(f"{flag} {number} must be greater than zero")
    if args.replicas is None and args.replica_count is None:
        raise UsageError("give --replicas=N for N instances in all, or --replica-count=N for N more than now")
    if args.replica_count is not None and args.dry_run == "client":
        raise UsageError("--replica-count adds to what the cluster has; use --replicas, or --dry-run=server")
    return await _change(args, terminal, cluster_resources.change(args, {"instances": {"replicas": args.replicas}}), "")


async def _change(args: argparse.Namespace, terminal: Terminal, change: Object, said: str) -> int:
    """Patch the cluster with *change*'s spec. *said* is the outcome; empty where it is a number of instances."""
    if args.dry_run == "client":
        terminal.say(output.formatted(change, args.output or "yaml"))
        return OK
    async with connect(args) as session:
        there = await find(session, args.cluster)
        if not said:
            said = _scaled(args, terminal, change, there)
        path = paths.of(_PLURAL, session.namespace, args.cluster)
        body = {"metadata": {"uid": there["metadata"]["uid"]}, "spec": change["spec"]}
        how = submit.params(dry=args.dry_run)
        changed: Object = await session.client.request("PATCH", path, body=body, content_type=MERGE, params=how)
        changed["metadata"].pop("managedFields", None)
    if args.output:
        terminal.say(output.formatted(changed, args.output))
    else:
        would = submit.DRY_RUN if args.dry_run else ""
        terminal.say(f"PostgresCluster {args.cluster}: {said}{would}")
    return OK


def _scaled(args: argparse.Namespace, terminal: Terminal, change: Object, there: Object) -> str:
    now = get(there, int, "spec", "instances", "replicas") or 1
    wanted = args.replicas or now + args.replica_count
    change["spec"]["instances"]["replicas"] = wanted
    going = cluster_data_loss.of_scale(there, wanted)
    for line in going or cluster_data_loss.notes_of_growth(there, wanted):
        terminal.note(line)
    if going and not args.dry_run:
        sure(args, terminal, f"Remove {now - wanted} of {now} instances? [y/N] ", "y")
    if wanted == now:
        return f"unchanged, it has {count(now, 'instance')} already"
    return f"scaled from {now} to {count(wanted, 'instance')}"


async def delete(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    async with connect(args) as session:
        there = await find(session, args.cluster)
        repository = await session.find("repositories", args.cluster)
        operations = await _operations(session, args.cluster)
        for line in cluster_data_loss.of_deletion(there, repository, operations, datetime.now(UTC)):
            terminal.note(line)
        protected = get(there, bool, "spec", "deletionProtection") is True
        if protected and args.yes and not args.lift_protection and not args.dry_run:
            # Whoever types the name means this cluster; a script may have met another one than it was written for.
            raise CliError(
                f"PostgresCluster {args.cluster} has deletionProtection, which --yes does not lift; "
                "add --lift-protection, or answer the question instead of --yes",
                code=UNABLE,
            )
        if args.dry_run:
            terminal.note("dry run: nothing was deleted")
            return OK
        sure(args, terminal, f"Type the cluster's name ({args.cluster}) to continue: ", args.cluster)
        path = paths.of(_PLURAL, session.namespace, args.cluster)
        if protected:
            change = {"metadata": {"uid": there["metadata"]["uid"]}, "spec": {"deletionProtection": False}}
            await session.client.merge(path, change)
        gone = await session.client.delete(path, uid=there["metadata"]["uid"])
        terminal.say(f"PostgresCluster {args.cluster} {'deleted' if gone else 'was already deleted'}")
        if gone and names.FINALIZER_LAST_WAL in there["metadata"].get("finalizers", []):
            wait = f"kubectl -n {session.namespace} wait --for=delete postgrescluster/{args.cluster}"
            terminal.note(f"it goes once its last WAL is archived; before you create it again: {wait}")
    return OK


async def _operations(session: Session, repository: str) -> list[Object]:
    found = [*await session.all("backups"), *await session.all("restores")]
    return [one for one in found if get(one, str, "spec", "repository") == repository]


async def find(session: Session, name: str) -> Object:
    """CliError where there is none, with names that are near; a Repository of that name is pointed out."""
    found = await session.find(_PLURAL, name)
    if found is not None:
        return found
    if await session.find("repositories", name) is not None:
        raise CliError(
            f"there is no PostgresCluster {name}; {name} is a Repository of a PostgreSQL that pgwarden does not run",
            code=UNABLE,
        )
    raise unknown("PostgresCluster", name, session.namespace, names_of(await session.all(_PLURAL)))
