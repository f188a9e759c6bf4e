"""The command line: `python3 -m localcluster COMMAND`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from localcluster import kind, lifecycle, loading, netns, processes, s3, teardown
from localcluster.api import Api
from localcluster.config import Cluster, cluster
from localcluster.console import say
from localcluster.errors import LocalClusterError
from localcluster.tools import Tools, prepare_host
from localcluster.versions import HELPER_IMAGE

_Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m localcluster",
        description="A real Kubernetes of one or more nodes without a container engine.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", help="cluster (default: $PGWARDEN_CLUSTER or pgwarden)")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(run=run)
        return command

    _add_life(add)
    _add_use(add)
    return parser


def _add_life(add: _Add) -> None:
    tools = add("tools", _tools, "install packages and build what is missing or broken")
    tools.add_argument("--only", nargs="+", default=[], metavar="NAME")
    for name, text in (("up", "make the cluster run"), ("start", "start a stopped cluster")):
        command = add(name, _up, text)
        command.add_argument(
            "--helper-image", default=HELPER_IMAGE, help="image of the storage provisioner's helper pods"
        )
        if name == "up":
            command.add_argument(
                "--nodes", type=int, metavar="N", help="at least so many (default: those that it has, at first 1)"
            )
            command.add_argument("--apiserver-only", action="store_true", help="just etcd and the API server")
            command.add_argument("--provider", choices=("local", "kind"), default="local")
    stop = add("stop", _stop, "end every process, keep all data")
    stop.add_argument(
        "--grace",
        type=float,
        default=10,
        metavar="SECONDS",
        help="for the pods to end by themselves; 0 is a power cut (default 10)",
    )
    kill = add("node-kill", _node_kill, "end a node for good, its volumes with it; its Node object stays")
    kill.add_argument("number", type=int, help="2 or higher: the control plane is beside the first")
    down = add("down", _down, "end the cluster and remove every trace")
    down.add_argument("--provider", choices=("local", "kind"), default="local")


def _add_use(add: _Add) -> None:
    add("status", _status, "what runs; exit code 1 unless the cluster is usable")
    add("kubeconfig", _kubeconfig, "print the kubeconfig's path")
    add("env", _env, "print shell exports of KUBECONFIG and PATH")
    add("load", _load, "import image archives").add_argument("archive", nargs="+", type=Path)
    shell = add("shell", _shell, "run a command inside the cluster's network namespace")
    shell.add_argument("--node", type=int, default=1, metavar="N", help="in that of node N (default 1)")
    shell.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    logs = add("logs", _logs, "print a component's log")
    logs.add_argument("component")
    logs.add_argument("--node", type=int, default=1, metavar="N", help="of node N (default 1)")
    logs.add_argument("-f", "--follow", action="store_true")
    store = add("s3", _s3, "the S3 store: stop or start it, make a bucket")
    store.add_argument("action", choices=("stop", "start", "mb"))
    store.add_argument("bucket", nargs="?")


def _existing(arguments: argparse.Namespace) -> Cluster:
    chosen = cluster(arguments.name)
    if not chosen.exists:
        raise LocalClusterError(
            f"there is no cluster {chosen.name}",
            way_out=f"python3 -m localcluster up --name {chosen.name}",
        )
    return chosen


def _tools(arguments: argparse.Namespace) -> int:
    tools = Tools()
    prepare_host(tools, arguments.only)
    tools.ensure(arguments.only, full=True)
    say(f"tools are ready in {tools.cache.tools}")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    if getattr(arguments, "provider", "local") == "kind":
        return kind.up(cluster(arguments.name).name)
    if arguments.command == "start":
        chosen = _existing(arguments)
        lifecycle.up(chosen, apiserver_only=chosen.apiserver_only, helper_image=arguments.helper_image)
        return 0
    lifecycle.up(
        cluster(arguments.name),
        apiserver_only=arguments.apiserver_only,
        helper_image=arguments.helper_image,
        nodes=arguments.nodes,
    )
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    chosen = _existing(arguments)
    with lifecycle.locked(chosen):
        teardown.stop(chosen, grace=arguments.grace)
    return 0


def _node_kill(arguments: argparse.Namespace) -> int:
    chosen = _existing(arguments)
    with lifecycle.locked(chosen):
        print(lifecycle.kill_node(chosen, arguments.number))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    chosen = cluster(arguments.name)
    if arguments.provider == "kind":
        return kind.down(chosen.name)
    with lifecycle.locked(chosen):
        teardown.down(chosen)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    chosen = _existing(arguments)
    size = "apiserver-only" if chosen.apiserver_only else "full"
    print(f"cluster {chosen.name} ({size}), state {chosen.state}")
    for machine in chosen.machines:
        alive = processes.all_running(machine)
        for path in sorted(machine.pids.glob("*.json")):
            process = alive.get(path.stem)
            title = path.stem + (f" of node {machine.number}" if machine.number > 1 else "")
            print(f"  {title:24} " + (f"pid {process.pid}" if process else "DEAD"))
    api = Api(chosen)
    usable = api.ready()
    print(f"  API server               {'ready' if usable else 'NOT READY'}")
    if not chosen.apiserver_only:
        nodes = {
            "node" + (f" {one.number}" if one.number > 1 else ""): lifecycle.node_ready(one, api)
            for one in chosen.machines
        }
        checks = {**nodes, "S3 store": s3.answers(chosen)}
        for name, good in checks.items():
            print(f"  {name:24} {'ready' if good else 'NOT READY'}")
        usable = usable and all(nodes.values())
    return 0 if usable else 1


def _kubeconfig(arguments: argparse.Namespace) -> int:
    print(_existing(arguments).kubeconfig)
    return 0


def _env(arguments: argparse.Namespace) -> int:
    chosen, tools = _existing(arguments), Tools()
    folders = ":".join(str(tools.path(name).parent) for name in ("kubectl", "helm"))
    print(f"export KUBECONFIG={chosen.kubeconfig}")
    print(f'export PATH="{folders}:$PATH"')
    return 0


def _load(arguments: argparse.Namespace) -> int:
    for reference in loading.load(_existing(arguments), Tools(), arguments.archive):
        print(reference)
    return 0


def _shell(arguments: argparse.Namespace) -> int:
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    command = words or [os.environ.get("SHELL", "/bin/sh")]
    chosen = _existing(arguments)
    environment = {**os.environ, "KUBECONFIG": str(chosen.kubeconfig)}
    return subprocess.run(
        [*netns.inside(chosen.machine(arguments.node)), *command], env=environment, check=False
    ).returncode


def _logs(arguments: argparse.Namespace) -> int:
    path = _existing(arguments).machine(arguments.node).log(arguments.component)
    if not path.exists():
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.log")))
        raise LocalClusterError(f"no log of {arguments.component}", way_out=f"there are: {known}")
    follow = ["-f"] if arguments.follow else []
    return subprocess.run(["tail", "-n", "+1", *follow, str(path)], check=False).returncode


def _s3(arguments: argparse.Namespace) -> int:
    chosen = _existing(arguments)
    if arguments.action == "mb":
        if not arguments.bucket:
            raise LocalClusterError("s3 mb needs the name of the bucket")
        made = s3.make_bucket(chosen, arguments.bucket)
        say(f"bucket {arguments.bucket}: {'made' if made else 'is there already'}")
        return 0
    with lifecycle.locked(chosen):
        if arguments.action == "stop":
            processes.stop(chosen, ["versitygw"])
        else:
            lifecycle.start_s3(chosen, Tools())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of one command; expected failures are told without a traceback."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except LocalClusterError as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of a pipe has seen enough; the interpreter must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return code
