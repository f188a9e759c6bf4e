"""create, update, scale and delete of a PostgresCluster: each makes, changes or deletes that one resource."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.cli import cluster_data_loss, cluster_resources, keys, output, submit, wait
from pgwarden.cli.errors import OK, UNABLE, CliError, UsageError, unknown
from pgwarden.cli.lookup import Objects, assumed
from pgwarden.cli.operate import settle, sure
from pgwarden.cli.s3_secret import S3Secret
from pgwarden.cli.session import Session, connect, known_namespace, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.kube.client import MERGE
from pgwarden.rules.common import get

Object = dict[str, Any]
_PLURAL = "postgresclusters"
#: What the operator's defaults may give. Whether they do, the webhook knows.
_ASSUMED = OperatorDefaults(s3_bucket="operators-default", s3_endpoint="operators.default", s3_region="default")


async def create(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await make(args, terminal, cluster_resources.cluster(args))


async def clone(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await make(args, terminal, cluster_resources.clone(args))


async def make(args: argparse.Namespace, terminal: Terminal, obj: Object) -> int:
    """Create *obj*, after the Secret with its S3 keys where they were given."""
    if args.dry_run == "client":
        return _dry(args, terminal, obj)
    async with connect(args) as session:
        args.namespace = session.namespace
        obj = obj | {"metadata": obj["metadata"] | {"namespace": session.namespace}}
        there = [one for each in (await session.everything()).values() for one in each]
        submit.judge(obj, Objects(there, session.namespace), terminal, _ASSUMED)
        secret = await S3Secret.of(args, terminal, session)
        path = paths.of(_PLURAL, session.namespace)
        # The webhook is asked first: no Secret is made for a cluster that is refused.
        made: Object = await session.client.request("POST", path, body=obj, params=submit.params(dry=True))
        if not args.dry_run:
            await secret.put(terminal)
            try:
                made = await session.client.request("POST", path, body=obj, params=submit.params())
            except BaseException:
                await secret.take_back()
                raise
        made["metadata"].pop("managedFields", None)
        terminal.say(submit.answer(made, args))
        if args.dry_run:
            return OK
        if args.wait:
            return await wait.until_over(session, terminal, _PLURAL, made, args.timeout)
        if not args.output:
            terminal.note(submit.look(made))
    return OK


def _dry(args: argparse.Namespace, terminal: Terminal, obj: Object) -> int:
    """No cluster is asked, and no keys are printed unless that is what is wanted."""
    namespace = args.namespace or known_namespace(args) or "default"
    there = [_assumed_source(args, namespace)] if "dataSource" in obj["spec"] else []
    submit.judge(obj, Objects(there, namespace), None, _ASSUMED)
    form = args.output or "yaml"
    given = keys.read(args, terminal) if args.show_keys else None
    if args.show_keys and given is None:
        raise UsageError("--show-keys: no keys were given")
    shown = [cluster_resources.secret(args, given), obj] if given else [obj]
    if len(shown) > 1 and form == "json":
        terminal.say(output.as_json(output.listed(shown)))
    else:
        terminal.say("---\n".join(output.formatted(one, form) for one in shown))
    if cluster_resources.uses_s3(args) and not given and not args.pgbackrest_s3_secret:
        name = cluster_resources.secret_name(args)
        files = "--from-file=s3-key=FILE --from-file=s3-key-secret=FILE"
        terminal.note(f"not printed: the S3 keys; their Secret is: kubectl create secret generic {name} {files}")
    return OK


def _assumed_source(args: argparse.Namespace, namespace: str) -> Object:
    """The Repository that is copied: offline it is taken to be there, and to allow it."""
    found = assumed(args.source_namespace or namespace, args.source)
    return found | {"spec": found["spec"] | {"cloneableFrom": ["*"]}}


async def update(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    change = cluster_resources.change(args, {"autofail": args.autofail == "true"})
    return await _change(args, terminal, change, f"spec.autofail is {args.autofail}")


async def scale(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    if args.replicas < 0 or (args.replica_count is not None and args.replica_count < 1):
        raise UsageError("give a number that is more than nothing")
    if not args.replicas and args.replica_count is None:
        raise UsageError("scale to what? --replicas=N instances in all, or --replica-count=N replicas more")
    if args.replica_count is not None and args.dry_run == "client":
        raise UsageError("how many there are only the cluster knows; use --replicas, or --dry-run=server")
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
        would = " (dry run: the cluster would take it)" if args.dry_run else ""
        terminal.say(f"PostgresCluster {args.cluster}: {said}{would}")
    return OK


def _scaled(args: argparse.Namespace, terminal: Terminal, change: Object, there: Object) -> str:
    now = get(there, int, "spec", "instances", "replicas") or 1
    wanted = args.replicas or now + args.replica_count
    change["spec"]["instances"]["replicas"] = wanted
    going = cluster_data_loss.of_scale(there, wanted)
    for line in going:
        terminal.note(line)
    if going and not args.dry_run:
        sure(args, terminal, f"Remove {now - wanted} of {now} instances? [y/N] ", "y")
    return f"{wanted} instances in all, {now} before"


async def delete(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    async with connect(args) as session:
        there = await find(session, args.cluster)
        repository = await session.find("repositories", args.cluster)
        operations = await _operations(session, args.cluster)
        for line in cluster_data_loss.of_deletion(there, repository, operations, datetime.now(UTC)):
            terminal.note(line)
        if args.dry_run:
            terminal.note("dry run: nothing was deleted")
            return OK
        sure(args, terminal, f"Type the cluster's name ({args.cluster}) to go on: ", args.cluster)
        path = paths.of(_PLURAL, session.namespace, args.cluster)
        gone = await session.client.delete(path, uid=there["metadata"]["uid"])
        terminal.say(f"PostgresCluster {args.cluster} {'deleted' if gone else 'was gone already'}")
    return OK


async def _operations(session: Session, repository: str) -> list[Object]:
    found = [*await session.all("backups"), *await session.all("restores")]
    return [one for one in found if get(one, str, "spec", "repository") == repository]


async def find(session: Session, name: str) -> Object:
    """CliError, with near names, where there is none; and where it is a Repository, that it is no cluster."""
    found = await session.find(_PLURAL, name)
    if found is not None:
        return found
    if await session.find("repositories", name) is not None:
        raise CliError(
            f"{name} is a Repository of PostgreSQL that pgwarden does not run: there is no PostgresCluster {name}",
            code=UNABLE,
        )
    raise unknown("PostgresCluster", name, session.namespace, names_of(await session.all(_PLURAL)))
