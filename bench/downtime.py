"""For how long a client cannot write while a Restore in place goes on, whatever there is to copy and to replay.

`python -m bench.downtime [CASE …]`: each CASE is KIND:GB:WAL:TARGET:ROUNDS, as `StatefulSet:2:0:moment:10`: the kind that
runs PostgreSQL (StatefulSet or PostgresCluster), gigabytes of data, gigabytes of WAL after the backup, where to (moment
or latest), and how often. Cases of one kind and size that follow each other share a namespace. Without any: CASES.
BENCH_BY_HAND=0 leaves out the run by hand, which is made once for each case. The results are saved after each round;
those of the same day and commit are one report, in which a case that is measured again replaces itself.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median

from bench import ground as grounds
from bench import runs
from bench.ground import Ground, say
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, is_true
from harness.postgres import IMAGE, Postgres, client
from harness.waiting import until
from pgwarden.pgbackrest.commands import restore_argv

CASES = (
    "StatefulSet:2:0:moment:20", "StatefulSet:2:0:latest:10", "StatefulSet:2:5:moment:2", "StatefulSet:10:0:moment:3",
    "StatefulSet:10:0:latest:2", "PostgresCluster:2:0:moment:20", "PostgresCluster:2:0:latest:10",
    "PostgresCluster:2:5:moment:2", "PostgresCluster:10:0:moment:3",
)  # fmt: skip
#: pgbench's scale for a gigabyte.
SCALE = 67
ROWS = "SELECT count(*), sum(abalance) FROM pgbench_accounts"
#: Inserts row after row by connections of its own, and notes each that was confirmed. A try ends after a second.
WRITE = """
echo $$ > /tmp/writer
i=0
while :; do
  i=$((i + 1))
  timeout 1 psql -X -q -c "INSERT INTO beats VALUES ($i)" 2> /dev/null && echo "$i $(date +%s.%N)" >> /tmp/confirmed
done
"""
STEPS = ("Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started")
HOW = """The client is a pod that inserts rows one after the other, each by a connection of its own through the Service's name,
and gives each try one second. Downtime: from its last confirmed row before to the first one after. After each run the
rows that were confirmed (to a moment: before it) and the count and sum of pgbench_accounts are compared.
By hand, of a StatefulSet: PostgreSQL's container is replaced by `sleep`, its data folder emptied, `pgbackrest restore`
run with the arguments of pgwarden's own, and the container put back."""


@dataclass(frozen=True)
class Case:
    kind: str
    size: int
    wal: int
    target: str
    rounds: int

    @classmethod
    def parse(cls, text: str) -> Case:
        if not re.fullmatch(r"(StatefulSet|PostgresCluster):\d+:\d+:(moment|latest):\d+", text):
            raise SystemExit(f"{text}: write KIND:GB:WAL:TARGET:ROUNDS, as StatefulSet:2:0:moment:10")
        kind, size, wal, target, rounds = text.split(":")
        return cls(kind, int(size), int(wal), target, int(rounds))


@dataclass
class Found:
    case: Case
    bytes: int
    downtimes: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)  # `kubectl apply` to Started
    steps: list[dict[str, float]] = field(default_factory=list)
    hand: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


# --- the ground ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A PostgreSQL with its data, its client, and the objects by which it is stopped by hand."""

    ground: Ground
    kind: str

    @property
    def host(self) -> str:
        return "postgres-0.postgres" if self.kind == "StatefulSet" else "hippo-primary"

    def sql(self, statement: str, seconds: float = 600) -> str:
        return self.ground.postgres.sql(statement, seconds=seconds)

    def wait_ready(self) -> None:
        if self.kind == "StatefulSet":
            self.ground.postgres.wait_ready(600)
        else:
            Cluster(self.ground.kubectl).wait_ready(600)


def lay(kind: str, size: int) -> Place:
    scale = size * SCALE
    if kind == "StatefulSet":
        ground = grounds.lay(scale)
    else:
        space = grounds.namespace(grounds.install("pgwarden", "pgwarden-patroni", "postgres"))
        wanted = manifest(replicas=1, repository={"local": {"size": "40Gi"}, "retention": {"full": 2}})
        wanted["spec"]["instances"]["storage"]["size"] = "40Gi"
        space.apply(wanted)
        Cluster(space).wait_ready(300)
        ground = grounds.fill(space, Postgres(space, "deployment/hippo-1"), scale)
    runs.through_pgwarden(ground, "pgb", runs.custom("Backup", "filled", type="full"))
    ground.postgres.sql("DROP TABLE beats; CREATE TABLE beats (i int); GRANT ALL ON beats TO PUBLIC")
    place = Place(ground, kind)
    ground.kubectl.apply(_writer(place))
    return place


def _writer(place: Place) -> Object:
    pod = client(IMAGE, name="writer")
    secret, user = ("postgres", "postgres") if place.kind == "StatefulSet" else ("hippo-credentials", "app")
    container = pod["spec"]["containers"][0]
    container["env"][0]["valueFrom"]["secretKeyRef"]["name"] = secret
    plain = {"PGHOST": place.host, "PGUSER": user, "PGDATABASE": "postgres"}
    container["env"] += [{"name": name, "value": value} for name, value in plain.items()]
    return pod


# --- a client -----------------------------------------------------------------------------------------------------


class Client:
    """Rows that were confirmed, and when, by the clock of the pod (that of this machine)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._pod("rm -f /tmp/confirmed")
        place.sql("TRUNCATE beats")
        self._pod(f"nohup bash -c '{WRITE}' > /dev/null 2>&1 &")
        self.wait(20)

    def _pod(self, command: str) -> str:
        words = ("exec", "writer", "--", "bash", "-c", command)
        return self._place.ground.kubectl.run(*words, check=False, seconds=120).stdout

    def confirmed(self) -> dict[int, float]:
        lines = self._pod("cat /tmp/confirmed").splitlines()
        return {int(one): float(at) for one, at in (line.split() for line in lines)}

    def wait(self, rows: int) -> None:
        before = len(self.confirmed())
        until(lambda: len(self.confirmed()) >= before + rows, f"{rows} more rows are confirmed", 600)

    def stop(self) -> dict[int, float]:
        self._pod("kill -KILL $(cat /tmp/writer)")
        return self.confirmed()


# --- one run ------------------------------------------------------------------------------------------------------


def run(place: Place, case: Case, name: str, found: Found | None) -> float:
    """The downtime of one Restore; by hand where *found* is None."""
    _write_wal(place, case.wal)
    place.sql("CHECKPOINT")
    rows = place.sql(ROWS)
    writer = Client(place)
    moment = _moment(place) if case.target == "moment" else ""
    writer.wait(20)
    place.sql("SELECT pg_switch_wal()")
    until(lambda: _archived(place), "the WAL up to the target is archived", 1800)
    began = time.time()
    if found is None:
        by_hand(place, moment)
    else:
        through_pgwarden(place, name, moment, found)
    over = time.time()
    writer.wait(30)
    confirmed = writer.stop()
    _compare(place, confirmed, (began, over), moment, rows)
    pairs = itertools.pairwise(confirmed.values())
    return max(later - earlier for earlier, later in pairs if later > began and earlier < over)


def _write_wal(place: Place, gigabytes: int) -> None:
    for _ in range(gigabytes):
        rows = "SELECT repeat(md5(i::text), 31) FROM generate_series(1, 1000000) AS i"
        place.sql(f"CREATE TABLE ballast AS {rows}", 1800)
        place.sql("DROP TABLE ballast")


def _moment(place: Place) -> str:
    return place.sql("SELECT to_json(clock_timestamp()) #>> '{}'")


def _archived(place: Place) -> bool:
    """Whether all but what is being written is in the archive."""
    sql = "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16777216) FROM pg_stat_archiver"
    return place.sql(sql) == "t"


def _compare(place: Place, confirmed: dict[int, float], between: tuple[float, float], moment: str, rows: str) -> None:
    """All rows of before the target and of after the Restore are there, and none of those that it took back."""
    began, over = between
    limit = datetime.fromisoformat(moment).timestamp() if moment else float("inf")
    wanted = {row for row, at in confirmed.items() if at < limit or at > over}
    there = {int(line) for line in place.sql("SELECT i FROM beats").split()}
    if place.sql(ROWS) != rows or not wanted <= there:
        raise AssertionError(f"rows differ: {sorted(wanted - there)[:20]} of {len(wanted)} are missing")
    late = {row for row, at in confirmed.items() if limit + 1 < at < began}
    if late & there:
        raise AssertionError(f"rows of after the target are there: {sorted(late & there)[:20]}")


def through_pgwarden(place: Place, name: str, moment: str, found: Found) -> None:
    kubectl = place.ground.kubectl
    target = {"target": {"time": moment}} if moment else {}
    extra = {"reenableAutofail": True} if place.kind == "PostgresCluster" else {}
    began = time.time()
    kubectl.apply(runs.custom("Restore", name, keepOldVolume=False, **target, **extra))
    kubectl.until("pgr", name, is_true("Started"), "is Started", 7200)
    found.total.append(time.time() - began)
    runs.wait_over(kubectl, "pgr", name)
    found.steps.append(_seconds((kubectl.get("pgr", name) or {})["status"]["conditions"]))
    place.wait_ready()
    kubectl.run("delete", "pgr", name, "--wait=true")


def _seconds(conditions: list[Object]) -> dict[str, float]:
    """Each step's end, in seconds since Replayed, by the conditions' whole seconds."""
    times = {one["type"]: datetime.fromisoformat(one["lastTransitionTime"]).timestamp() for one in conditions}
    return {step: times[step] - times["Replayed"] for step in STEPS if step in times}


def by_hand(place: Place, moment: str) -> None:
    """Of a StatefulSet."""
    kubectl = place.ground.kubectl
    sleeping = '[{"op":"add","path":"/spec/template/spec/containers/0/command","value":["sleep","86400"]}]'
    awake = '[{"op":"remove","path":"/spec/template/spec/containers/0/command"}]'
    target = ["--type=time", f"--target={moment.replace('T', ' ')}", "--target-action=promote"] if moment else []
    script = f'set -e; {_AS}; d="$({_DATA})"; find "$d" -mindepth 1 -delete; {_words(*restore_argv("hippo"), *target)}'
    kubectl.run("patch", _WORKLOAD, "--type=json", "-p", sleeping)
    kubectl.run("delete", "pod", "postgres-0", "--wait=true")
    until(lambda: _sleeps(kubectl), "a shell is there instead of PostgreSQL", 120, pause=0.2)
    kubectl.run("exec", _WORKLOAD, "-c", "postgres", "--", "bash", "-c", script, seconds=7200)
    kubectl.run("patch", _WORKLOAD, "--type=json", "-p", awake)
    kubectl.run("delete", "pod", "postgres-0", "--grace-period=1", "--wait=true")  # it is not ready: no rollout goes on
    place.wait_ready()
    runs.through_pgwarden(place.ground, "pgb", runs.custom("Backup", f"hand-{int(time.time())}", type="full"))


def _sleeps(kubectl: Kubectl) -> bool:
    done = kubectl.run("exec", "postgres-0", "-c", "postgres", "--", "cat", "/proc/1/cmdline", check=False)
    return done.stdout.startswith("sleep")


_WORKLOAD = "statefulset/postgres"
_AS = 'as_postgres() { [ "$(id -u)" != 0 ] || set -- setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; "$@"; }'
_DATA = 'echo "${PGDATA:-/var/lib/postgresql/data}"'


def _words(*words: str) -> str:
    return f"as_postgres {shlex.join([*runs.PGBACKREST, *words])}"


# --- all of them, and the report ----------------------------------------------------------------------------------


@dataclass
class Results:
    day: str = field(default_factory=lambda: time.strftime("%Y%m%d", time.gmtime()))
    found: list[Found] = field(default_factory=list)

    @property
    def _seen(self) -> Path:
        return Path(tempfile.gettempdir()) / f"downtime-{self.day}-{grounds.commit()}.json"

    def load(self) -> None:
        listed = json.loads(self._seen.read_text()) if self._seen.exists() else []
        self.found = [Found(**(one | {"case": Case(**one["case"])})) for one in listed]

    def save(self, found: Found) -> None:
        self.found = [one for one in self.found if one.case != found.case] + [found]
        self._seen.write_text(json.dumps([asdict(one) for one in self.found]))
        (grounds.RESULTS / f"downtime-{self.day}.md").write_text(report(self.found), encoding="utf-8")


def measure(cases: list[Case], results: Results) -> None:
    for (kind, size), some in itertools.groupby(cases, key=lambda case: (case.kind, case.size)):
        place = lay(kind, size)
        try:
            for case in some:
                _case(place, case, results)
        finally:
            place.ground.clean()


def _case(place: Place, case: Case, results: Results) -> None:
    found = Found(case, place.ground.bytes())
    for number in range(1, case.rounds + 1):
        load = os.getloadavg()[0]
        found.downtimes.append(run(place, case, f"r{case.wal}-{case.target}-{number}", found))
        found.load.append(load)
        say(f"{case}: {found.downtimes[-1]:.1f} s, {found.steps[-1]}")
        results.save(found)
    if os.environ.get("BENCH_BY_HAND") != "0" and place.kind == "StatefulSet":
        found.hand.append(run(place, case, "", None))
        say(f"{case}: by hand {found.hand[-1]:.1f} s")
        results.save(found)


def p95(values: list[float]) -> float:
    """The smallest of them that 95 of 100 do not exceed."""
    return sorted(values)[ceil(0.95 * len(values)) - 1]


def report(found: list[Found]) -> str:
    lines = [
        "# Downtime of a Restore in place, as a writing client sees it\n",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {grounds.commit()}, `python -m bench.downtime`.",
        f"PostgreSQL 17, pgBackRest 2.60, local storage. {os.cpu_count()} CPUs ({platform.machine()}), one node.\n",
        "| | data | WAL to replay | to | runs | median | p95 | longest | `apply` to Started | by hand |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        case, hand = one.case, f"{one.hand[0]:.0f} s" if one.hand else ""
        figures = (median(one.downtimes), p95(one.downtimes), max(one.downtimes))
        words = [case.kind, f"{one.bytes / 1e9:.1f} GB", f"{case.wal} GB", case.target, str(len(one.downtimes))]
        words += [f"{value:.1f} s" for value in figures] + [f"{median(one.total):.0f} s", hand]
        lines.append(f"| {' | '.join(words)} |")
    lines += ["", HOW, "", "| every run: seconds, and load average before it | |", "|---|---|"]
    for one in found:
        runs_of = ", ".join(
            f"{seconds:.1f} ({load:.0f})" for seconds, load in zip(one.downtimes, one.load, strict=True)
        )
        lines.append(
            f"| {one.case.kind}, {one.case.size} GB, {one.case.wal} GB of WAL, {one.case.target} | {runs_of} |"
        )
    lines += [
        "",
        "| seconds since Replayed (medians of the conditions' whole seconds) | " + " | ".join(STEPS[2:]) + " |",
    ]
    lines.append("|---|" + "---|" * len(STEPS[2:]))
    for one in found:
        medians = [f"{median(step.get(name, 0) for step in one.steps):.0f}" for name in STEPS[2:]]
        lines.append(f"| {one.case.kind}, {one.case.size} GB, {one.case.target} | {' | '.join(medians)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    results = Results()
    results.load()
    measure([Case.parse(one) for one in arguments or CASES], results)
    print(report(results.found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
