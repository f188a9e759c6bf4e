"""The same number of Kubernetes CronJobs under the real kube-controller-manager, and of kopf timers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.schedules.ours import quiet_hour, where
from bench.schedules.runs import Result, judged
from bench.schedules.world import Process, World
from harness.runs_seen import RunsSeen, due_of_job
from localcluster.tools import Tools
from pgwarden.kube import paths

Object = dict[str, Any]
BATCH = "/apis/batch/v1"
KOPF = "kopf==1.45.2"


def cronjob(number: int, schedule: str) -> tuple[str, str, Object]:
    namespace, name = where(number)
    container = {"name": "backup", "image": "pgwarden", "args": ["backup"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}
    return "POST", f"{BATCH}/namespaces/{namespace}/cronjobs", body


def cronjobs(size: int) -> Iterator[tuple[str, str, Object]]:
    hour = quiet_hour()
    return (cronjob(number, f"{number % 60} {hour} * * *") for number in range(size))


def controller_manager(world: World, rate: int) -> Process:
    """Only its CronJob controller. *rate* 0: its own limit of 20 requests a second."""
    limits = [f"--kube-api-qps={rate}", f"--kube-api-burst={2 * rate}"] if rate else []
    argv = [
        str(Tools().path("kube-controller-manager")),
        f"--kubeconfig={world.kubeconfig}",
        "--controllers=cronjob-controller",
        "--leader-elect=false",
        "--secure-port=0",
        *limits,
    ]
    return world.start(f"kube-controller-manager-{rate}", argv, {})


async def due_at_once(world: World, size: int, count: int) -> Result:
    """A CronJob knows minutes only, so that all *count* are due at the same second."""
    minute = (datetime.now(UTC) + timedelta(seconds=70 + count // 60)).replace(second=0, microsecond=0)
    chosen = [number * (size // count) for number in range(count)]
    places = [where(number) for number in chosen]
    body = {"spec": {"schedule": f"{minute.minute} {minute.hour} * * *"}}
    path = f"{BATCH}/namespaces/{{}}/cronjobs/{{}}"
    with RunsSeen(world.kubeconfig, path=paths.of("jobs"), due=due_of_job, end=False) as seen:
        await world.each([("PATCH", path.format(*place), body) for place in places])
        await asyncio.sleep((minute - datetime.now(UTC)).total_seconds())
        load = os.getloadavg()[0]
        await asyncio.sleep((minute + timedelta(seconds=70) - datetime.now(UTC)).total_seconds())
        runs = [(f"{ns}/{name.rpartition('-')[0]}", run) for (ns, name), run in seen.runs.items()]
    quiet = {"spec": {"schedule": f"0 {quiet_hour()} * * *"}}
    await world.each([("PATCH", path.format(*place), quiet) for place in places])
    return judged([(f"{ns}/{name}", minute) for ns, name in places], runs, load)


# --- kopf ---------------------------------------------------------------------------------------------------------

#: As an operator on kopf is written: a timer for each object, which looks once a minute whether a run has fallen due.
OPERATOR = """
import datetime, logging, os
import kopf
from pgwarden.schedule import cron
from pgwarden.kube import access, paths
from pgwarden.kube.client import KubeClient

logging.disable(logging.INFO)
state = {}

@kopf.on.startup()
async def begin(settings, **_):
    settings.posting.enabled = False
    settings.scanning.disabled = True
    state["client"] = KubeClient(await access.from_kubeconfig(os.environ["KUBECONFIG"]))

@kopf.timer("pgwarden.io", "v1alpha1", "backupschedules", interval=60, sharp=True)
async def look(spec, name, namespace, memo, **_):
    now = datetime.datetime.now(datetime.UTC)
    since = memo.get("since", now - datetime.timedelta(minutes=1))
    memo["since"] = now
    due = cron.parse(spec["schedule"]).next_run(since, "UTC")
    if due <= now:
        stamp = due.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": f"{name}-{due:%Y%m%d%H%M%S}", "annotations": {"pgwarden.io/due": stamp}}
        body = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Backup", "metadata": metadata,
                "spec": {"repository": spec["repository"], "type": "full"}}
        await state["client"].create(paths.of("backups", namespace), body)
"""


def kopf_python(folder: Path) -> Path:
    """A throw-away environment with kopf in it, that sees this one's packages."""
    python = folder / "kopf" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "kopf")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", KOPF], check=True)
    own = subprocess.run(
        [sys.executable, "-c", "import site; print(site.getsitepackages()[0])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    for folder_ in (folder / "kopf" / "lib").glob("python*/site-packages"):
        (folder_ / "ours.pth").write_text(f"{own}\n{Path.cwd()}\n")
    return python


def operator(world: World) -> Process:
    program = world.folder / "operator_.py"
    program.write_text(OPERATOR)
    argv = [str(kopf_python(world.folder)), "-m", "kopf", "run", "--all-namespaces", "--standalone", str(program)]
    return world.start("kopf", argv, {"KUBECONFIG": str(world.kubeconfig)})
