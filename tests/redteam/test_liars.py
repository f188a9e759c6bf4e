"""An agent that lies, a store that lies, and a repository host that was taken over: what the controller believes of it,
what it costs, and who else notices.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from harness.command_line import pgwarden
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import archived, backup, events, repository
from harness.postgres import Postgres, statefulset
from harness.s3 import Store, secret_of
from harness.s3 import repository as in_s3
from harness.s3_steps import figure, switch_wal
from harness.waiting import until
from pgwarden.api import names
from tests.redteam import lies
from tests.redteam.lies import Liar
from tests.redteam.town import Town, address, connect, neighbour

#: MiB that the controller may have more than before. An honest answer may be 8 MiB, and takes some times that for a moment.
ROOM = 160
#: Seconds within which a change to another Repository is looked at, whatever goes on.
USUAL = 20
LIES_PORT = 9000
STORE_LIES = (
    "endless", "refusal", "xml", "entities", "elsewhere", "nothing", "large refusal", "trickle", "headers", "one header"
)  # fmt: skip


class Place(NamedTuple):
    """Repository hippo on its volume and in a bucket, with PostgreSQL and a Backup in each; Repository herd beside it."""

    kubectl: Kubectl
    postgres: Postgres
    store: Store
    bucket: str
    image: str


@pytest.fixture(scope="module")
def place(installed, space: Kubectl) -> Place:
    store = Store(installed.cluster._own())
    bucket = store.make_bucket(f"lies-{uuid.uuid4().hex[:6]}")
    space.apply(
        *store.secrets(), neighbour(installed.image), repository("herd", local={"size": "64Mi"}),
        in_s3("local,s3", bucket, local={"size": "1Gi"}), *statefulset(installed.postgres_image),
    )  # fmt: skip
    found = Place(space, Postgres(space), store, bucket, installed.image)
    found.postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    for storage in ("local", "s3"):
        space.apply(backup(f"to-{storage}", type="full", storage=storage))
        space.until("pgb", f"to-{storage}", phase("Completed"), "is completed", 180)
    space.until("pgrepo", "herd", is_true("Reachable"), "is reached", 120)
    return found


@pytest.fixture(autouse=True)
def unmoved(place: Place) -> Iterator[None]:
    """Whatever is told: the controller goes on, in its memory, and PostgreSQL does."""
    found = lies.controller(place.kubectl)
    restarts, peak = found.restarts(), found.peak()
    yield
    figure(f"controller: {peak} MiB at most before, {found.peak()} MiB after")
    assert found.restarts() == restarts
    assert found.peak() < peak + ROOM
    assert place.postgres.sql("SELECT 1") == "1"


def look_at_another(place: Place) -> float:
    """Seconds until herd, which is well, is judged by a change to it."""
    began = time.monotonic()
    full = 2 + int(began) % 100
    place.kubectl.run(
        "patch", "pgrepo", "herd", "--type=merge", "-p", json.dumps({"spec": {"retention": {"full": full}}})
    )

    def seen(one: Object) -> bool:
        return bool(one["status"]["observedGeneration"] == one["metadata"]["generation"])

    place.kubectl.until("pgrepo", "herd", seen, "is looked at", USUAL)
    return time.monotonic() - began


def steers_nobody(place: Place) -> None:
    """Of what is told: bounded, on one line of a terminal, and nothing of it in the metrics."""
    shown = [json.dumps(place.kubectl.get("pgrepo", "hippo") or {}, ensure_ascii=False)]
    shown.append(place.kubectl.run("get", "events", "-o", "jsonpath={.items[*].message}").stdout)
    shown.append(pgwarden(place.kubectl, "show", "hippo").stdout)
    for text in shown:
        assert not {one for one in text if one in "\x1b\x00\x07\u202e"}, text[:2000]
        assert "\\u001b" not in text
        assert len(text) < 300_000


# --- a store ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(place: Place) -> Liar:
    """At `lies.NAMESPACE.svc`, with a certificate of the CA in Secret lies-ca."""
    space = place.kubectl
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "lies"},
        "spec": {"selector": {"app": "lies"}, "ports": [{"port": LIES_PORT}]},
    }  # fmt: skip
    pod = neighbour(place.image)
    pod["metadata"] = {"name": "lies", "labels": {"app": "lies"}}
    space.apply(service, pod)
    space.until("pod", "lies", lambda one: one["status"]["phase"] == "Running", "runs", 60)
    liar = Liar(space, "lies", "shell", "/tmp/lies")
    own = lies.certificate(liar, f"lies.{space.namespace}.svc.cluster.local")
    space.apply(secret_of("lies-ca", {"ca.crt": own["ca"]}))
    liar.begin(LIES_PORT, own["cert"], own["key"])
    liar.wait_listening()
    return liar


@pytest.fixture(scope="module")
def deceived(place: Place, store: Liar) -> Liar:
    """hippo's second storage is at the liar's."""
    there = f"lies.{place.kubectl.namespace}.svc.cluster.local:{LIES_PORT}"
    store.tell("nothing")
    place.kubectl.apply(
        in_s3(
            "local,s3", place.bucket, local={"size": "1Gi"}, s3={"endpoint": there, "caSecretRef": {"name": "lies-ca"}}
        )
    )
    store.wait_asked()
    return store


def restarted(place: Place) -> dict[str, int]:
    """How often each container of hippo's has begun anew."""
    pods = place.kubectl.list("pods", f"{names.LABEL_OWNER_REPOSITORY}=hippo") + place.kubectl.list(
        "pods", f"{names.LABEL_REPOSITORY}=hippo"
    )
    return {
        f"{one['metadata']['name']}/{each['name']}": each["restartCount"]
        for one in pods
        for each in [*one["status"].get("containerStatuses", []), *one["status"].get("initContainerStatuses", [])]
    }


@pytest.mark.timeout(600)  # pgBackRest has its own patience with each of them
@pytest.mark.parametrize("lie", STORE_LIES)
def test_a_store_that_lies_costs_its_storage_alone(place: Place, deceived: Liar, lie: str):
    """M3: a store's answer of 300 kB held the agent and the controller up for half a minute, one of 3 MB for hours."""
    before = restarted(place)
    deceived.tell(lie, lies.metrics_of_controller(place.kubectl))
    deceived.wait_asked()
    segment = switch_wal(place.postgres)
    until(lambda: segment in archived(place.kubectl), "WAL arrives on the volume", 180)
    seconds = look_at_another(place)

    def told(one: Object) -> bool:
        found = condition(one, "Reachable")
        return bool(found and found["status"] == "False" and "storage s3" in found["message"])

    found = place.kubectl.until("pgrepo", "hippo", told, "says what is wrong with storage s3", 100)
    message = condition(found, "Reachable")["message"]  # type: ignore[index]
    figure(
        f"{lie}: herd after {seconds:.1f} s; {message[:300]}; restarts {[k for k, v in restarted(place).items() if v != before.get(k)]}"
    )
    assert len(message) < 2048
    assert "local" in {one["name"] for one in found["status"]["storages"] if one["reachable"]}
    steers_nobody(place)


@pytest.mark.timeout(600)  # PostgreSQL pauses for a minute, and so may what reads for the status
def test_after_a_store_that_lied_the_true_one_is_reached(place: Place, deceived: Liar):
    """M3: whatever the liar has said, nothing of it lasts."""
    place.kubectl.apply(in_s3("local,s3", place.bucket, local={"size": "1Gi"}))
    found = place.kubectl.until("pgrepo", "hippo", is_true("Reachable"), "is reached again", 240)
    assert {one["name"] for one in found["status"]["storages"] if one["reachable"]} == {"local", "s3"}
    segment = switch_wal(place.postgres)
    until(lambda: segment in archived(place.kubectl), "WAL arrives on the volume", 120)


def test_sets_that_nobody_wrote_are_no_sets(place: Place, store: Liar):
    """M3: labels, types and sizes of backup.info went to the status, the metrics and the terminal as they were."""
    root = place.store.cluster.s3 / "buckets" / place.bucket
    copies = sorted(root.rglob("backup.info*"))
    honest = copies[0].read_text()
    assert lies.checksum(honest.splitlines()) in honest
    label = "20260101-000000F" + "\\u001b[2J\\u202e" + "x" * 100_000
    strange = {label: {"backup-type": "full", "backup-info-size": 2**62}}
    try:
        for path in copies:
            path.write_text(lies.forged(honest, strange))
        told = "backup.info names a backup set that pgBackRest did not write"
        found = place.kubectl.until(
            "pgrepo",
            "hippo",
            lambda one: told in condition(one, "Reachable")["message"],
            "says so",
            120,  # type: ignore[index]
        )
        assert {one["name"] for one in found["status"]["storages"] if one["reachable"]} == {"local"}
        assert all(len(one["label"]) < 40 for one in found["status"]["backups"])
        steers_nobody(place)
        assert look_at_another(place) < USUAL
    finally:
        for path in copies:
            path.write_text(honest)
    place.kubectl.until("pgrepo", "hippo", is_true("Reachable"), "is reached again", 120)


# --- a repository host that was taken over ---------------------------------------------------------------------------


def host(place: Place, name: str = "hippo") -> str:
    (pod,) = place.kubectl.list("pods", f"{names.LABEL_OWNER_REPOSITORY}={name},{names.LABEL_COMPONENT}=host")
    return str(pod["metadata"]["name"])


def test_a_repository_host_reaches_nothing_of_others(place: Place):
    """H4: with all that its containers hold: no token, and keys that open the host of no other Repository, no agent and
    not the controller.
    """
    for container in (names.CONTAINER_HOST, names.CONTAINER_SERVER):
        tokens = "import pathlib; print(list(pathlib.Path('/var/run/secrets').rglob('token')))"
        run = place.kubectl.run("exec", host(place), "-c", container, "--", "python3", "-c", tokens)
        assert run.stdout.strip() == "[]", container
    own = lies.keys(place.kubectl, host(place), names.CONTAINER_HOST)
    files = {"cert": own["tls.crt"], "key": own["tls.key"]}
    space = place.kubectl
    town = Town(space, place.postgres, None, space)  # type: ignore[arg-type]
    other = address(space, f"{names.LABEL_OWNER_REPOSITORY}=herd,{names.LABEL_COMPONENT}=host")
    mine = address(space, f"{names.LABEL_REPOSITORY}=hippo")
    ask = "GET /status HTTP/1.0\r\n\r\n"
    for port in (names.PORT_PGBACKREST, names.PORT_AGENT):
        assert connect(town, other, port, tls=True, send=ask, **files).got == "", port
    assert "only pgwarden-controller may call" in connect(town, mine, names.PORT_AGENT, tls=True, send=ask, **files).got


# --- an agent --------------------------------------------------------------------------------------------------------

#: Of the host's agent: what the Repository says then.
OF_HOST = {
    "endless": "returned more than 8192 KiB",
    "gigabytes": "returned more than 8192 KiB",
    "headers": "cannot be reached: ",
    "one header": "cannot be reached: ",
    "trickle": "did not answer status within 15 s",
    "never": "did not answer status within 15 s",
    "nested": "returned more than 400000 values",
    "values": "returned more than 400000 values",
    "types": "answered status with an invalid response",
    "nothing": "answered status with an invalid response",
    "elsewhere": "the agent returned 302",
    "steering": "all is well",
    "long": "so it ends",
    "signed": "<StringToSign>",
    "sets": "backup.info names 500 backup sets that pgBackRest did not write",
}
OF_POD = OF_HOST | {
    "endless": "returned more than 256 KiB",
    "gigabytes": "returned more than 256 KiB",
    "nested": "returned more than 256 KiB",
    "values": "returned more than 256 KiB",
    "small values": "what its agent answers says nothing of PostgreSQL",
    "long": "y y y y",
}
del OF_POD["sets"]


@pytest.fixture(scope="module")
def lying_host(place: Place) -> Liar:
    return lies.take_over(place.kubectl, place.image, host(place), names.CONTAINER_HOST)


def is_told(place: Place, lie: str, words: str) -> str:
    """What of the status says so."""

    def said(one: Object) -> list[str]:
        state = one["status"]
        texts = [each["message"] for each in [*state["conditions"], *state["pods"]]]
        return [text for text in texts if words in text]

    found = place.kubectl.until("pgrepo", "hippo", lambda one: bool(said(one)), f"says {words} of {lie}", 90)
    assert len(json.dumps(found["status"])) < 100_000
    return said(found)[0]


@pytest.mark.parametrize("lie", OF_HOST)
def test_what_a_repository_host_lies_costs_its_repository_alone(place: Place, lying_host: Liar, lie: str):
    """M3: of a compromised host's answer gigabytes were read, and a redirection of it was followed with its answer shown."""
    lying_host.tell(lie, lies.metrics_of_controller(place.kubectl))
    lying_host.wait_asked(2)
    seconds = look_at_another(place)
    message = is_told(place, lie, OF_HOST[lie])
    figure(f"host, {lie}: herd after {seconds:.1f} s; {message[:200]}")
    assert "pgwarden_" not in message
    steers_nobody(place)
    assert not [one for one in events(place.kubectl, "Repository", "hippo", "Ready") if len(one) > 1024]


@pytest.fixture(scope="module")
def lying_pod(place: Place) -> Liar:
    return lies.take_over(place.kubectl, place.image, "postgres-0", names.CONTAINER_SIDECAR)


@pytest.mark.parametrize("lie", OF_POD)
def test_what_a_pod_lies_costs_its_repository_alone(place: Place, lying_pod: Liar, lie: str):
    """M3: of a pod's answer gigabytes were read: with the keys that a superuser's shell has, it is in the agent's place."""
    lying_pod.tell(lie, lies.metrics_of_controller(place.kubectl))
    lying_pod.wait_asked()
    seconds = look_at_another(place)
    message = is_told(place, lie, OF_POD[lie])
    figure(f"pod, {lie}: herd after {seconds:.1f} s; {message[:200]}")
    assert "pgwarden_" not in message
    steers_nobody(place)
