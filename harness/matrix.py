"""A PostgreSQL of some major or some shape, taken through all that pgwarden does for it: each step with its seconds.

It runs before it is protected, as a user's does. Several go at once, each in a namespace of its own.
"""

from __future__ import annotations

import json
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import backup, repository, restore
from harness.postgres import SWITCH, Postgres, client, reader, statefulset
from harness.waiting import until

AT_ONCE = 4
FAILED = "SELECT failed_count FROM pg_stat_archiver"
WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
LABEL = "pgwarden.io/repository"
ROWS = "SELECT count(*), md5(string_agg(n::text, ',' ORDER BY n)) FROM notes AS n"


@dataclass(frozen=True)
class Case:
    name: str
    image: str
    change: Callable[[list[Object]], list[Object]] = lambda documents: documents
    access: Object = field(default_factory=dict)  # spec.postgres of its Repository
    port: int = 5432
    in_place: bool = True  # else a Restore makes a new claim
    advised: Object = field(default_factory=dict)  # what the status says is to be written into spec.postgres


@dataclass
class Run:
    """What came of one."""

    case: Case
    version: str = ""
    configured_by: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    before: str = ""  # rows at the moment to restore to
    after: str = ""
    advice: str = ""  # that the Repository's status gave
    error: str = ""
    log: str = ""  # PostgreSQL's, of before the restore and of after it
    left: str = ""  # archive_mode once the label is off, and the changes of failed_count and of the files that wait

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


def run_all(space: Kubectl, cases: list[Case], psql: str) -> dict[str, Run]:
    """By name. *psql* is an image that has it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {run.case.name: run for run in pool.map(lambda case: _run(space, case, psql), cases)}


def _run(space: Kubectl, case: Case, psql: str) -> Run:
    run, own = Run(case), space.within(f"{space.namespace}-{case.name}")
    own.run("create", "namespace", own.namespace)
    try:
        _whole(run, own, psql)
        own.run("delete", "namespace", own.namespace, "--wait=false")
    except (AssertionError, LookupError, OSError, subprocess.SubprocessError):  # the test of this one shows it
        run.error = traceback.format_exc()
    return run


def _whole(run: Run, own: Kubectl, psql: str) -> None:
    case, postgres = run.case, Postgres(own, client="client")
    pod = client(psql)
    pod["spec"]["containers"][0]["env"].append({"name": "PGPORT", "value": str(case.port)})
    with run.step("starts"):
        own.apply(*case.change(statefulset(case.image, repository="")), pod)
        postgres.wait_ready()
        Postgres(own, pod="client").wait_ready()
    run.version = postgres.sql("SHOW server_version")
    postgres.sql("CREATE TABLE notes AS SELECT i, md5(i::text) AS said FROM generate_series(1, 2000) AS i")
    with run.step("archives"):
        _protect(run, own, postgres)
    pod = own.until("pod", postgres.pod, lambda one: bool(_facts(one)), "is injected", 10)
    run.configured_by = _facts(pod)["configuredBy"]
    for kind in ("full", "incr"):
        with run.step(kind):
            _back_up(own, kind)
        postgres.sql(f"INSERT INTO notes SELECT i, '{kind}' FROM generate_series(1, 100) AS i")  # noqa: S608
    run.before = postgres.sql(ROWS)
    moment = postgres.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    postgres.sql("DROP TABLE notes")
    run.log = _log(own, postgres)
    with run.step("restore"):
        run.after = _restored(own, case, postgres, {"time": moment})
    run.log += _log(own, postgres)
    if case.in_place:
        with run.step("label off"):
            run.left = _released(own, postgres)
            assert postgres.sql(ROWS) == run.after


def _protect(run: Run, own: Kubectl, postgres: Postgres) -> None:
    """The label on, as a user puts it, and whatever the status asks for after that."""
    own.apply(repository(**({"postgres": run.case.access} if run.case.access else {})))
    template = {"spec": {"template": {"metadata": {"labels": {LABEL: "hippo"}}}}}
    _patch(own, "statefulset", "postgres", template)
    own.run("rollout", "status", "statefulset/postgres", "--timeout=180s", seconds=200)
    found = own.until("pgrepo", "hippo", lambda one: _archives(one) or _owed(one), "archives, or owes a restart", 180)
    if _owed(found):
        own.delete("pod", postgres.pod)
        postgres.wait_ready()
        own.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    if run.case.advised:
        said = own.until("pgrepo", "hippo", lambda one: "set spec.postgres." in one["status"]["message"], "advises", 60)
        run.advice = said["status"]["message"]
        _patch(own, "pgrepo", "hippo", {"spec": {"postgres": run.case.advised}})
        own.delete("pod", postgres.pod)
        postgres.wait_ready()
        own.until("pgrepo", "hippo", phase("Ready"), "is ready", 180)


def _facts(pod: Object) -> Object:
    found: Object = json.loads(pod["metadata"].get("annotations", {}).get("pgwarden.io/postgres", "{}"))
    return found


def _archives(one: Object) -> bool:
    return is_true("Archiving")(one)


def _owed(one: Object) -> bool:
    found = condition(one, "Archiving")
    return bool(found and found["reason"] == "RestartOwed")


def _back_up(own: Kubectl, kind: str) -> None:
    own.apply(backup(kind, f"--type={kind}"))
    done = own.until("pgb", kind, phase("Completed", "Failed"), "ends", 240)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]


def _restored(own: Kubectl, case: Case, postgres: Postgres, target: Object) -> str:
    """The rows after it."""
    own.apply(restore("back", target, **({} if case.in_place else {"volumeClaim": "copy"})))
    done = own.until("pgr", "back", phase("Completed", "Failed"), "ends", 400)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    if case.in_place:
        return postgres.sql(ROWS)
    own.apply(reader(case.image, "copy"))
    found = Postgres(own, pod="reader")
    found.wait_ready()
    return found.sql(ROWS)


def _released(own: Kubectl, postgres: Postgres) -> str:
    """The label off, as a user takes it: archive_mode, and what failed or waits after several segments."""
    _patch(own, "statefulset", "postgres", {"spec": {"template": {"metadata": {"labels": {LABEL: None}}}}})
    own.run("rollout", "status", "statefulset/postgres", "--timeout=180s", seconds=200)
    postgres.wait_ready()
    assert not _facts(own.get("pod", postgres.pod) or {"metadata": {}})
    mode, failed = postgres.sql("SHOW archive_mode"), postgres.sql(FAILED)
    for _ in range(3):
        postgres.sql(SWITCH)
    until(lambda: postgres.sql(WAITING) == "0", "nothing waits to be archived", 60)
    return f"{mode}, {int(postgres.sql(FAILED)) - int(failed)} failed"


def _log(own: Kubectl, postgres: Postgres) -> str:
    return own.run("logs", postgres.pod, "-c", "postgres", "--tail=2000").stdout


def _patch(own: Kubectl, kind: str, name: str, patch: Any) -> None:
    own.run("patch", kind, name, "--type=merge", "-p", json.dumps(patch))


# --- changes of the demo's StatefulSet -------------------------------------------------------------------------------


def template(documents: list[Object]) -> Object:
    found: Object = documents[-1]["spec"]["template"]
    return found


def container(documents: list[Object]) -> Object:
    found: Object = template(documents)["spec"]["containers"][0]
    return found


def mounted(documents: list[Object], name: str, path: str, volume: Object) -> None:
    """A volume of the pod besides its data."""
    template(documents)["spec"].setdefault("volumes", []).append({"name": name} | volume)
    container(documents)["volumeMounts"].append({"name": name, "mountPath": path})


def variable(documents: list[Object], name: str, value: str) -> None:
    container(documents)["env"].append({"name": name, "value": value})


def runs_as(documents: list[Object], user: int) -> None:
    template(documents)["spec"]["securityContext"] = {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
