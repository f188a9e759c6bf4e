"""Why a recovery cannot be done: each reason by its own name, with the thing and the way out, before anything stops.

One server, with a client that writes all the while and must not notice. The Restores come one after the other, and the
last of them find an archive that was damaged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness import foretold, images
from harness.disks import overcommitted
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import archived, backup, in_host, repository, restore
from harness.postgres import SWITCH, Postgres, client, statefulset
from harness.waiting import until

ROWS = "SELECT count(*), md5(string_agg(n::text, ',' ORDER BY n)) FROM notes AS n"
#: One session: it ends where the server does, and psql with it.
WRITE = (
    "printf 'INSERT INTO written VALUES (now())\\n\\\\watch 0.2\\n' | psql -X -q -v ON_ERROR_STOP=1 -f - > /dev/null"
)
MIB = 2**20


@dataclass
class World:
    space: Kubectl
    postgres: Postgres
    own: str  # the server's image
    plain: str  # an image without the locale and the library of the server's
    old: str  # one of PostgreSQL 16
    disks: dict[str, str] = field(default_factory=dict)  # StorageClass of a volume of that size
    lost_timeline: str = ""  # set of a timeline that was given up
    before_mark: str = ""  # the moment from which on WAL needs the library
    segments: list[str] = field(default_factory=list)  # archived ones that no other test needs

    def noticed(self) -> tuple[str, list[int]]:
        """What would tell that the server was touched."""
        pod = self.space.get("pod", "postgres-0")
        assert pod
        return pod["metadata"]["uid"], [one["restartCount"] for one in pod["status"]["containerStatuses"]]

    def written(self) -> int:
        writer = self.space.get("pod", "client")
        assert writer
        assert writer["status"]["phase"] == "Running", self.space.run("logs", "client").stdout
        return int(self.postgres.sql("SELECT count(*) FROM written"))

    def archive(self) -> str:
        self.postgres.sql("INSERT INTO filling SELECT md5(i::text) FROM generate_series(1, 2000) AS i")
        name = self.postgres.sql(SWITCH)
        until(lambda: name in archived(self.space), f"{name} is archived", 150)
        return name

    def file(self, segment: str) -> str:
        return in_host(self.space, "sh", "-c", f"ls /pgwarden/repo/archive/hippo/*/{segment[:16]}/{segment}-*").strip()


# --- the server --------------------------------------------------------------------------------------------------


def workload(image: str) -> list[Object]:
    documents = statefulset(image)
    documents[-1]["spec"]["template"]["spec"]["containers"][0]["args"] = [
        "postgres", "-c", "shared_preload_libraries=marks",
    ]  # fmt: skip
    return documents


def writer(image: str) -> Object:
    pod = client(image)
    container = pod["spec"]["containers"][0]
    container["command"] = ["bash", "-c", WRITE]
    container["env"] += [{"name": "PGHOST", "value": "postgres-0.postgres"}, {"name": "PGUSER", "value": "postgres"}]
    pod["spec"]["restartPolicy"] = "Never"
    return pod


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """With a full backup."""
    image = images.loaded(installed.cluster, images.MARKS)
    space.apply(repository(), *workload(image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    found.sql("CREATE TABLE notes AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 2000) AS i")
    found.sql("CREATE TABLE written (at timestamptz); CREATE TABLE filling (said text)")
    found.sql("CREATE FUNCTION mark(text) RETURNS bigint STRICT LANGUAGE C AS 'marks'")
    space.apply(backup("base", "--type=full"))
    space.until("pgb", "base", phase("Completed"), "is completed", 180)
    return found


@pytest.fixture(scope="module")
def world(installed, space: Kubectl, postgres: Postgres) -> Iterator[World]:
    """After a Restore and its undo, so that there is a timeline that nothing comes from; then with the writer."""
    old = images.loaded(installed.cluster, images.OLD_ALONE)
    made = World(space, postgres, images.loaded(installed.cluster, images.MARKS), installed.postgres_image, old)
    given_up = foretold.carried_out(space, restore("back", {"immediate": True}))
    postgres.wait_ready()
    foretold.carried_out(space, restore("forth", undo="back"))
    postgres.wait_ready()
    made.lost_timeline = space.get("pgb", given_up["backup"])["status"]["label"]
    size = int(postgres.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))  # of the newest set
    postgres.sql("INSERT INTO notes SELECT i, md5(i::text) FROM generate_series(2001, 3000) AS i")
    made.before_mark = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO notes VALUES (0, 'a commit behind that moment'); SELECT mark('needs the library')")
    postgres.sql("CREATE TABLE large AS SELECT i, md5(i::text) FROM generate_series(1, 500000) AS i")
    made.segments = [made.archive() for _ in range(3)]
    with overcommitted(space, "tiny", size // 2) as tiny, overcommitted(space, "small", size + 24 * MIB) as small:
        made.disks = {"tiny": tiny, "small": small}
        space.apply(writer(installed.postgres_image))
        space.until("pod", "client", phase("Running"), "runs", 90)
        until(lambda: made.written() > 5, "the client writes", 60)
        yield made


# --- what is asked, and what is said -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    spec: Callable[[World], Object]
    reason: str
    said: tuple[str, ...]
    log: str = ""  # in the last lines of `status.recovery`; empty where it did not come to that


def on(kind: str) -> Callable[[World], Object]:
    return lambda world: {"newVolume": {"size": "2Gi", "storageClassName": world.disks[kind]}}


def beside(name: str, image: str, **spec: Any) -> Callable[[World], Object]:
    """Into a claim, by an image that does not fit."""
    return lambda world: {"volumeClaim": name, "image": getattr(world, image)} | spec


def torn(place: int, command: str) -> Callable[[World], Object]:
    """The newest state, for which an archived segment is needed whose file was changed by *command*."""

    def spec(world: World) -> Object:
        in_host(world.space, "sh", "-c", command.format(file=world.file(world.segments[place])))
        return {}

    return spec


CASES = {
    "a volume smaller than the data": Case(
        lambda _: {"newVolume": {"size": "2Mi"}},
        "VolumeTooSmall", ("spec.newVolume.size: 2Mi is less than the",),
    ),
    "a volume that is full while the backup is copied": Case(
        on("tiny"), "OutOfSpace", ("the new volume is full", "spec.newVolume.size"), "unable to write",
    ),
    "a volume that is full while WAL is replayed": Case(
        on("small"), "OutOfSpace", ("the new volume is full", "spec.newVolume.size"), "redo starts at",
    ),
    "an image of another major version": Case(
        beside("other-version", "old", target={"immediate": True}),
        "WrongVersion", ("PostgreSQL 17", "use an image of PostgreSQL 17"), "incompatible with server",
    ),
    "an image without the locale of the databases": Case(
        lambda world: beside("no-locale", "plain", target={"time": world.before_mark})(world),
        "LocaleMissing", ("en_US", "use an image with it"),
    ),
    "an image without the library that WAL needs": Case(
        beside("no-library", "plain"),
        "LibraryMissing", ('the library "marks"', "use an image with it"), "could not access file",
    ),
    "a backup of a timeline that the target does not come from": Case(
        lambda world: {"set": world.lost_timeline, "targetTimeline": "3"},
        "WrongTimeline", ("spec.targetTimeline", "spec.set"),
    ),
    "a restore point that was never made": Case(
        lambda _: {"target": {"name": "never-made"}},
        "TargetNotReached", ("no name never-made", "choose another target"), "before configured recovery target",
    ),
    "a segment with other bytes in it": Case(
        torn(1, "s=$(stat -c %s {file}); dd if=/dev/zero of={file} bs=1 count=64 seek=$((s / 2)) conv=notrunc"),
        "CorruptSegment", ("spec.target", "spec.set"),
    ),
    "a segment that cannot be unpacked": Case(
        torn(0, "dd if=/dev/urandom of={file} bs=1 count=16 conv=notrunc"),
        "CorruptSegment", ("spec.target", "spec.set", "FormatError"),
    ),
}  # fmt: skip


def test_wal_that_needs_a_library_is_replayed_where_the_image_has_it(world: World):
    """It is preloaded once WAL asks for it. Before the cases that damage the archive."""
    rows = world.postgres.sql(ROWS)
    foretold.carried_out(
        world.space, restore("with-library", {"time": world.postgres.sql("SELECT now()")}, volumeClaim="with-library")
    )
    pod = workload(world.own)[-1]["spec"]["template"]
    pod["metadata"]["labels"].pop("pgwarden.io/repository")
    pod["spec"]["containers"][0]["args"] += ["-c", "archive_mode=off"]
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "with-library"}}]
    world.space.apply({"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": pod["metadata"] | {"name": "reader"}})
    reader = Postgres(world.space, pod="reader")
    reader.wait_ready()
    assert reader.sql(ROWS) == rows
    assert reader.sql("SHOW archive_mode") == "off"


@pytest.mark.parametrize("name", CASES)
def test_it_fails_with_a_reason_of_its_own_and_the_server_notices_nothing(world: World, name: str):
    case, space = CASES[name], world.space
    server, rows, written = world.noticed(), world.postgres.sql(ROWS), world.written()
    asked = restore(f"case-{list(CASES).index(name)}", **case.spec(world))
    space.apply(asked)
    done = space.until("pgr", asked["metadata"]["name"], phase("Completed", "Failed"), "ends", 300)
    status = done["status"]
    assert (status["phase"], status["reason"]) == ("Failed", case.reason), status["message"]
    assert condition(done, "Stopped") is None
    for words in case.said:
        assert words in status["message"]
    assert any(case.said[0] in text for text in events(space, asked)[case.reason])
    log = "\n".join(status.get("recovery", {}).get("log", []))
    assert case.log in log
    assert world.noticed() == server
    assert world.postgres.sql(ROWS) == rows
    until(lambda: world.written() > written, "the client goes on", 30)


def events(space: Kubectl, of: Object) -> dict[str, list[str]]:
    """By reason."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in space.list("events"):
        if (one["involvedObject"]["kind"], one["involvedObject"]["name"]) == ("Restore", of["metadata"]["name"]):
            found[one["reason"]].append(one["message"])
    return found
