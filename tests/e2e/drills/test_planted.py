"""A drill can fail: each planted fault is found and named, and without it the same drill passes. `make drills`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness import drill_report, planted
from harness.disks import overcommitted
from harness.drill_report import Answer
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.matrix import variable
from harness.objects import archived, backup, drill, protect, repository
from harness.postgres import SWITCH, Postgres, statefulset
from harness.s3 import secret_of
from harness.s3_steps import says
from harness.waiting import until

pytestmark = pytest.mark.timeout(1200)  # two servers, four backups

SPOILED = ("pages", "indexes", "extensions")  # databases, with a fault each


@dataclass
class World:
    space: Kubectl
    postgres: Postgres
    base: str  # label of the full set
    later: str  # of the diff upon it
    segments: list[str]  # archived after the full set
    tiny: str  # StorageClass of a volume that is smaller than it says
    spoiled: str = ""  # label of the set with the faults of SPOILED
    page: str = ""  # the file with the corrupt page
    sound: str = ""  # the moment before those


@dataclass(frozen=True)
class Fault:
    plant: Callable[[World], AbstractContextManager[Any]]
    spec: Callable[[World], Object]
    reason: str
    said: tuple[Callable[[World], str] | str, ...] = field(default=())


def of_set(name: str, **more: Any) -> Callable[[World], Object]:
    return lambda world: {"set": getattr(world, name), "target": {"immediate": True}} | more


def in_database(name: str) -> Callable[[World], Object]:
    return of_set("spoiled", databases=[name])


def whole_archive(world: World) -> Object:
    return {"set": world.base}


FAULTS = {
    "a bit flipped in a bundle": Fault(
        lambda world: planted.flipped(world.space, *planted.bundles(world.space, world.base)),
        of_set("base"), "CorruptBackup", ("the backup set is damaged in the repository",),
    ),
    "a bit flipped in a WAL segment": Fault(
        lambda world: planted.flipped(world.space, planted.segment_file(world.space, world.segments[1])),
        whole_archive, "CorruptSegment", (lambda world: world.segments[1],),
    ),
    "a WAL segment lost": Fault(
        lambda world: planted.lost(world.space, planted.segment_file(world.space, world.segments[1])),
        whole_archive, "MissingSegment", (lambda world: world.segments[1],),
    ),
    "the manifest lost": Fault(
        lambda world: planted.lost(world.space, *(
            f"{planted.REPO}/backup/hippo/{world.base}/backup.manifest{end}" for end in ("", ".copy")
        )),
        of_set("base"), "CorruptBackup", ("backup.manifest",),
    ),
    "a set whose prior was removed by hand": Fault(
        lambda world: planted.lost(world.space, f"{planted.REPO}/backup/hippo/{world.base}"),
        of_set("later"), "CorruptBackup", (lambda world: world.base,),
    ),
    "a scratch volume that is too small": Fault(
        lambda _: nullcontext(),
        lambda world: {"newVolume": {"size": "2Gi", "storageClassName": world.tiny}},
        "OutOfSpace", ("the new volume is full",),
    ),
    "a page corrupt before the backup": Fault(
        lambda _: nullcontext(), in_database("pages"),
        "ChecksFailed", ("pgwarden/checksums", lambda world: world.page, "block 1"),
    ),
    "an index that disagrees with its table": Fault(
        lambda _: nullcontext(), in_database("indexes"), "ChecksFailed", ("pgwarden/amcheck", "many_i"),
    ),
    "an extension and a library that the image lacks": Fault(
        lambda _: nullcontext(), in_database("extensions"),
        "ChecksFailed", ("pgwarden/extensions", "extension gone is not in this image", "/tmp/ours"),
    ),
}  # fmt: skip
HEALTHY = {
    "nothing": lambda world: {"target": {"time": world.sound}},
    "nothing, in one database": of_set("spoiled", databases=["sound"]),
}


def completed(space: Kubectl, name: str) -> str:
    done = space.until("pgb", name, phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return str(done["status"]["label"])


def archive(space: Kubectl, postgres: Postgres) -> str:
    postgres.sql("INSERT INTO many SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i")
    name = postgres.sql(SWITCH)
    until(lambda: name in archived(space), f"{name} is archived", 150)
    return name


@pytest.fixture(scope="module")
def world(installed, space: Kubectl) -> Iterator[World]:
    documents = statefulset(installed.postgres_image)
    variable(documents, "POSTGRES_INITDB_ARGS", "--data-checksums")
    space.apply(repository(), *documents)
    postgres = Postgres(space)
    postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    postgres.sql("CREATE TABLE many AS SELECT i, md5(i::text) AS said FROM generate_series(1, 20000) AS i")
    size = int(postgres.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))
    space.apply(backup("base", type="full"))
    base = completed(space, "base")
    segments = [archive(space, postgres) for _ in range(3)]
    space.apply(backup("later", type="diff"))
    with overcommitted(space, "tiny", size // 2) as tiny:
        made = World(space, postgres, base, completed(space, "later"), segments, tiny)
        spoil(made)
        space.apply(backup("spoiled", type="full"))
        made.spoiled = completed(space, "spoiled")
        yield made


def spoil(world: World) -> None:
    world.sound = world.postgres.sql("SELECT clock_timestamp()")
    for name in (*SPOILED, "sound"):
        world.postgres.sql(f"CREATE DATABASE {name}")
        world.postgres.sql(
            "CREATE TABLE many AS SELECT i, md5(i::text) AS said FROM generate_series(1, 2000) AS i;"
            "CREATE INDEX many_i ON many (i)",
            database=name,
        )
    planted.spoil_index(world.postgres, "many", "many_i", "indexes")
    planted.spoil_extensions(world.postgres, "extensions")
    world.page = planted.spoil_page(world.postgres, "many", "pages")


@pytest.fixture(scope="module")
def answers() -> Iterator[list[Answer]]:
    found: list[Answer] = []
    yield found
    drill_report.save("answers", found)


def run(space: Kubectl, name: str, **spec: Any) -> Object:
    space.apply(drill(name, {"name": "true", "sql": "SELECT true"}, **spec))
    done = space.until("pgdrill", name, phase("Completed", "Failed"), "ends", 400)
    space.run("delete", "pgdrill", name, "--timeout=120s", seconds=150)
    assert space.get("pvc", f"{name}-drill") is None
    return done["status"]


@pytest.mark.parametrize("name", HEALTHY)
def test_without_a_fault_it_passes_and_measures_each_phase(world: World, answers: list[Answer], name: str):
    status = run(world.space, f"healthy-{list(HEALTHY).index(name)}", **HEALTHY[name](world))
    answers.append(Answer.of(name, status))
    assert (status["phase"], status["reason"]) == ("Completed", "Completed"), status["message"]
    assert set(status["seconds"]) == set(drill_report.PHASES)
    assert status["wal"]["bytes"] == status["wal"]["segments"] * 16 * 2**20


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_and_named(world: World, answers: list[Answer], name: str):
    fault = FAULTS[name]
    with fault.plant(world):
        status = run(world.space, f"fault-{list(FAULTS).index(name)}", **fault.spec(world))
    answers.append(Answer.of(name, status))
    assert (status["phase"], status["reason"]) == ("Failed", fault.reason), status["message"]
    for words in fault.said:
        assert (words if isinstance(words, str) else words(world)) in status["message"]


def test_another_passphrase_than_the_stored_data_has_is_named_at_the_deadline(installed, far: Kubectl, answers):
    far.apply(secret_of("passphrase", {"cipher-pass": "the-right-one"}))
    protect(far, installed.postgres_image, encryption={"secretRef": {"name": "passphrase"}})
    far.apply(backup("base", type="full"))
    completed(far, "base")
    far.apply(secret_of("passphrase", {"cipher-pass": "another-one"}))
    wrong = "the stored data cannot be decrypted: it was written with another passphrase"
    far.until("pgrepo", "hippo", says("Reachable", "False", wrong), "cannot decrypt", 90)
    status = run(far, "locked", activeDeadlineSeconds=60)
    answers.append(Answer.of("a wrong passphrase", status))
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded"), status["message"]
    assert wrong in status["message"]
