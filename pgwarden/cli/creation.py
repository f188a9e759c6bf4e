"""Create a Repository or a PostgresCluster, after the Secret with the S3 keys that were given for it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence

from pgwarden import storages
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_NAME
from pgwarden.cli import keys, output, repository_resources, submit, wait
from pgwarden.cli.errors import OK, UsageError
from pgwarden.cli.lookup import Objects
from pgwarden.cli.s3_secret import S3Secret
from pgwarden.cli.session import Session, known_namespace
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths

#: What the operator's defaults may give. Whether they do, only the webhook knows.
DEFAULTS = storages.assumed_defaults()


async def on_cluster(args: argparse.Namespace, terminal: Terminal, session: Session, obj: Object) -> Object:
    """*obj* as the API server took it, or with --dry-run=server would take it."""
    args.namespace = session.namespace
    obj = obj | {"metadata": obj["metadata"] | {"namespace": session.namespace}}
    there = [one for each in (await session.everything()).values() for one in each]
    submit.judge(obj, Objects(there, session.namespace), terminal, DEFAULTS)
    secret = await S3Secret.of(args, terminal, session, obj["metadata"]["name"])
    path = paths.of(BY_NAME[obj["kind"]].plural, session.namespace)
    # The webhook is asked first: nothing that it refuses leaves a Secret behind.
    made: Object = await session.client.request("POST", path, body=obj, params=submit.params(dry=True))
    if not args.dry_run:
        await secret.put(terminal)
        try:
            made = await session.client.request("POST", path, body=obj, params=submit.params())
        except BaseException:
            await secret.take_back()
            raise
    made["metadata"].pop("managedFields", None)
    return made


async def create(
    args: argparse.Namespace, terminal: Terminal, session: Session, obj: Object, hint: Callable[[Object], str]
) -> int:
    """Create *obj* and say so; with --wait until it is there, else *hint* says what comes next."""
    made = await on_cluster(args, terminal, session, obj)
    terminal.say(submit.answer(made, args))
    if args.dry_run:
        return OK
    if args.wait:
        return await wait.until_over(session, terminal, BY_NAME[obj["kind"]].plural, made, args.timeout)
    if not args.output:
        terminal.note(hint(made))
    return OK


def offline(args: argparse.Namespace, terminal: Terminal, obj: Object, there: Sequence[Object] = ()) -> None:
    """Print *obj*. No cluster is asked, and no keys are printed without --show-keys."""
    namespace = args.namespace or known_namespace(args) or "default"
    submit.judge(obj, Objects(there, namespace), None, DEFAULTS)
    form, owner = args.output or "yaml", obj["metadata"]["name"]
    given = keys.read(args, terminal) if args.show_keys else None
    if args.show_keys and given is None:
        raise UsageError("--show-keys: no keys were given")
    shown = [repository_resources.secret(args, owner, given), obj] if given else [obj]
    if len(shown) > 1 and form == "json":
        terminal.say(output.as_json(output.listed(shown)))
    else:
        terminal.say("---\n".join(output.formatted(one, form) for one in shown))
    if repository_resources.uses_s3(args) and not given and not args.pgbackrest_s3_secret:
        name = repository_resources.secret_name(args, owner)
        files = "--from-file=s3-key=FILE --from-file=s3-key-secret=FILE"
        terminal.note("note: the Secret with the S3 keys is not printed; create it with:")
        terminal.note(f"{shlex.join(['kubectl', *kubectl_options(args)])} create secret generic {name} {files}")


def kubectl_options(args: argparse.Namespace) -> list[str]:
    """Those that a printed kubectl command needs to act on the cluster and namespace of this command."""
    given = (("--kubeconfig", args.kubeconfig), ("--context", args.context), ("-n", args.namespace))
    return [word for pair in given if pair[1] for word in pair]
