"""A superuser's shell in PostgreSQL, and a neighbour pod without any right: what they reach of all that we run.

As where no network plug-in enforces NetworkPolicies. With them: test_network.py.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest

from harness import people
from harness.cluster import Cluster, manifest
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.objects import PGBACKREST, backup, info, repository
from harness.people import rule
from harness.postgres import Postgres, statefulset
from harness.waiting import until
from pgwarden.api import names
from tests.redteam.town import Town, connect, neighbour, own_files, places, self_signed, unguarded

#: As the server's own user, which is who a superuser's shell is.
IN_POSTGRES = (
    "exec",
    "postgres-0",
    "-c",
    "postgres",
    "--",
    "setpriv",
    "--reuid=postgres",
    "--regid=postgres",
    "--clear-groups",
)
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.fixture(scope="module")
def town(installed, space: Kubectl) -> Iterator[Town]:
    alley = space.within(f"alley-{uuid.uuid4().hex[:5]}")
    alley.run("create", "namespace", alley.namespace)
    alley.apply(neighbour(installed.image))
    system = space.within(NAMESPACE)
    for where in (space, system):
        where.apply(unguarded())
    space.apply(repository(local={"size": "1Gi"}), *statefulset(installed.postgres_image), manifest("herd", replicas=1))
    found = Town(space, Postgres(space), Cluster(space, "herd"), alley)
    found.postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    space.apply(backup("base", "--type=full"))
    found.herd.wait_ready()
    space.until("pgb", "base", phase("Completed"), "is completed", 180)
    alley.until("pod", "neighbour", lambda one: one["status"]["phase"] == "Running", "runs", 60)
    yield found
    system.delete("networkpolicy", "unguarded", seconds=30)
    alley.run("delete", "namespace", alley.namespace, "--wait=false")


# --- with a superuser's shell: its token -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with the token that lies in the container of herd's PostgreSQL."""
    token = town.herd.postgres("herd-1").run("cat", TOKEN).strip()
    return people.by(town.kubectl, tmp_path_factory.mktemp("stolen"), token)


def patch(kind: str, name: str, change: Object) -> tuple[str, ...]:
    return "patch", kind, name, f"--type={'strategic' if kind == 'pod' else 'merge'}", "-p", json.dumps(change)


def image(container: str) -> Object:
    return {"spec": {"containers": [{"name": container, "image": "example.com/evil:1"}]}}


def label(key: str, value: str | None) -> Object:
    return {"metadata": {"labels": {key: value}}}


def deeds(town: Town) -> dict[str, tuple[tuple[str, ...], str]]:
    """What is tried → with which words of kubectl, and what is said against it."""
    (host,) = (
        pod["metadata"]["name"]
        for pod in town.kubectl.list("pods", "pgwarden.io/for-repository=herd,pgwarden.io/component=host")
    )
    own = town.herd.pod("herd-1")
    facts = {"metadata": {"annotations": {names.ANNOTATION_POSTGRES: "{}"}}}
    return {
        "image of the repository host": (patch("pod", host, image("pgbackrest")), "its own pod alone"),
        "image of another PostgreSQL": (patch("pod", "postgres-0", image("postgres")), "its own pod alone"),
        "labels of another PostgreSQL": (patch("pod", "postgres-0", label(names.LABEL_REPOSITORY, "herd")), "its own pod alone"),
        "its own image": (patch("pod", own, image("postgres")), "and nothing else"),
        "its own Repository": (patch("pod", own, label(names.LABEL_REPOSITORY, "hippo")), "and nothing else"),
        "as the repository host": (patch("pod", own, label(names.LABEL_COMPONENT, "host")), "and nothing else"),
        "what the webhook noted": (patch("pod", own, facts), "and nothing else"),
        "another's Patroni": (("create", "configmap", "hippo-leader"), "and no others"),
        "the configuration of the repository host": (patch("configmap", "herd-pgbackrest", {"data": {"host.conf": ""}}), "cannot patch"),
        "its Secrets": (("get", "secrets"), "cannot list"),
        "the Secret of the repository host": (("get", "secret", "herd-pgbackrest"), "cannot get"),
        "the passwords": (("get", "secret", "herd-credentials"), "cannot get"),
        "a shell in the repository host": (("exec", host, "--", "id"), "unable to upgrade connection"),
        "the logs of the repository host": (("logs", host), "cannot get"),
        "the repository host's end": (("delete", "pod", host, "--wait=false"), "cannot delete"),
        "a Backup": (("get", "pgb"), "cannot list"),
        "a Restore": (("get", "pgr"), "cannot list"),
        "pods elsewhere": (("get", "pods", "-n", NAMESPACE), "cannot list"),
        "Secrets elsewhere": (("get", "secret", "-n", NAMESPACE, "pgwarden-webhook-tls"), "cannot get"),
    }  # fmt: skip


def test_the_token_of_an_instance_reaches_nothing_else(town: Town, shell: Kubectl):
    """H3: with it the image of the repository host was exchanged: a shell there, all keys, and all backups."""
    assert people.may(shell, "patch", "pods")  # by RBAC alone it would
    done = {what: (people.said(shell, *words), refused) for what, (words, refused) in deeds(town).items()}
    assert {what: said for what, (said, refused) in done.items() if refused not in said} == {}


def test_what_patroni_writes_it_may_still_write(town: Town, shell: Kubectl):
    """H3: the other side of it: the bound is not as narrow as to end Patroni."""
    own = town.herd.pod("herd-1")
    assert (
        people.said(shell, *patch("pod", own, {"metadata": {"annotations": {"status": "{}"}}}), "--dry-run=server")
        == ""
    )
    assert people.said(shell, *patch("configmap", "herd-leader", label("x", "y")), "--dry-run=server") == ""


# --- with a superuser's shell: its certificate -----------------------------------------------------------------------


def pgbackrest(town: Town, *argv: str) -> tuple[int, str]:
    words = (*IN_POSTGRES, *PGBACKREST, "--log-level-console=error", *argv)
    done = town.kubectl.run(*words, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_certificate_of_a_pod_opens_no_other_stanza(town: Town):
    """H4: the part that holds: whoever has hippo's certificate reads nothing of herd's repository, and deletes nothing."""
    assert pgbackrest(town, "--stanza=hippo", "repo-ls", "backup/hippo") == (0, ANY)  # its own it reads
    other = f"--repo1-host={names.host_dns('herd', town.kubectl.namespace)}"
    denied, stranger = "access denied", "unable to verify certificate"
    for refused, argv in (
        (denied, ("--stanza=herd", "repo-ls", "backup/herd")),
        (denied, ("--stanza=herd", "repo-rm", "--recurse", "backup/herd")),
        (denied, ("--stanza=herd", "info")),
        (denied, ("info",)),
        (stranger, (other, "--stanza=herd", "repo-ls", "backup/herd")),
        (stranger, (other, "--stanza=hippo", "repo-ls", "backup/herd")),
        (stranger, (other, "--stanza=herd", "repo-rm", "--recurse", "backup/herd")),
    ):
        assert refused in pgbackrest(town, *argv)[1], argv
    assert info(town.kubectl, "herd")["backup"]


def test_the_certificate_of_a_pod_is_no_key_to_another_repositorys_host(town: Town):
    """H4: the same by a client that checks nothing: its certificate is of another CA."""
    files, where = own_files(town), places(town)
    for port in (names.PORT_PGBACKREST, names.PORT_AGENT):
        assert (
            connect(town, where["other host"], port, tls=True, send="GET /status HTTP/1.0\r\n\r\n", **files).got == ""
        )


def through_the_host(town: Town, command: str, path: str) -> tuple[int, str]:
    """What pgBackRest's server in the host reads for a client that names another folder than the repository."""
    return pgbackrest(town, "--stanza=hippo", "--repo1-path=/", command, path)


def test_what_the_hosts_server_reads_for_a_client_opens_no_door(town: Town):
    """H4: a client's own options reach all that the host's server can read: then the host's key, the superuser of all
    pods of the Repository, and its keys to S3. Now a certificate that nobody lets in, and no file of the host's.
    """
    code, listed = through_the_host(town, "repo-ls", "pgwarden/source")
    assert code == 0, listed
    assert {one for one in listed.split() if not one.startswith(".")} == {
        "ca.crt", "credentials.conf", "server.conf", "tls.crt", "tls.key",
    }  # fmt: skip
    assert through_the_host(town, "repo-get", "pgwarden/source/credentials.conf")[1].strip() == "[global]"
    assert through_the_host(town, "repo-ls", "var/run/secrets/kubernetes.io")[1] == ""
    taken = {
        field: through_the_host(town, "repo-get", f"pgwarden/conf/{file}")[1]
        for field, file in {"cert": names.KEY_TLS_CERT, "key": names.KEY_TLS_KEY}.items()
    }
    assert taken["key"] != own_files(town)["key"]
    for place in ("host", "pod"):
        answer = connect(
            town, places(town)[place], names.PORT_AGENT, tls=True, send="GET /status HTTP/1.0\r\n\r\n", **taken
        )
        assert "only pgwarden-controller may call" in answer.got, place
    stolen = "/tmp/stolen"
    for field, text in taken.items():
        write = ("sh", "-c", f"umask 077; mkdir -p {stolen}; cat > {stolen}/{field}")
        town.kubectl.run("exec", "-i", *IN_POSTGRES[1:], *write, stdin=text)
    with_it = [f"--repo1-host-cert-file={stolen}/cert", f"--repo1-host-key-file={stolen}/key"]
    assert "access denied" in pgbackrest(town, "--stanza=hippo", *with_it, "repo-ls", "backup/hippo")[1]


@pytest.mark.parametrize("place", ["host", "pod"])
@pytest.mark.parametrize(
    "call",
    [
        "GET /status",
        "POST /stanza-create?repo=1",
        "POST /expire?repo=1&set=20260101-000000F&archives-of=1",
        "POST /fence",
        "POST /roles",
    ],
)
def test_the_certificate_of_a_pod_gives_agents_no_orders(town: Town, place: str, call: str):
    """H4: agents answer the controller alone, whoever else has a certificate of the Repository's CA."""
    found = connect(
        town, places(town)[place], names.PORT_AGENT, tls=True, send=f"{call} HTTP/1.0\r\n\r\n", **own_files(town)
    )
    assert found.got.startswith("HTTP/1.0 403 "), found
    assert "only pgwarden-controller may call" in found.got


def test_no_key_of_others_is_in_postgresqls_container(town: Town):
    """H4: what the controller gives the sidecar is not mounted there, nor is the repository host's key."""
    assert town.postgres.run("sh", "-c", f"ls -A {names.SOURCE_DIR} {names.REPO_DIR} 2>/dev/null || true").strip() == ""
    subject = town.postgres.run("cat", f"{names.CONF_DIR}/{names.KEY_TLS_CERT}")
    secret = town.kubectl.get("secret", "hippo-pgbackrest")
    assert secret is not None
    assert subject not in json.dumps(secret)


# --- with a superuser's shell: what lies beside and in PostgreSQL ----------------------------------------------------

TRAP = """
CREATE ROLE mallory;
ALTER DATABASE postgres OWNER TO mallory;
SET ROLE mallory;
CREATE SCHEMA evil;
CREATE TABLE evil.ran (who text);
CREATE FUNCTION evil.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO evil.ran VALUES (current_user); RETURN false; END $$;
CREATE FUNCTION evil.split_part(text, text, int) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO evil.ran VALUES (current_user); RETURN '1'; END $$;
ALTER DATABASE postgres SET search_path = evil, pg_catalog;
"""


def looks(town: Town) -> int:
    """How often the sidecar has asked PostgreSQL, by PostgreSQL's own log."""
    log = town.kubectl.run("logs", "postgres-0", "-c", "postgres", "--tail=-1").stdout
    return log.count("application_name=pgwarden")


def test_what_lies_in_wait_for_the_sidecar_is_left_alone(town: Town):
    """M10, L6: the database's owner had functions run by the sidecar's superuser; a FIFO in the spool held it up."""
    town.postgres.sql("ALTER SYSTEM SET log_connections = on")
    town.postgres.sql("SELECT pg_reload_conf()")
    town.postgres.sql(TRAP)
    town.postgres.sql("SELECT pg_is_in_recovery()")
    assert town.postgres.sql("SELECT who FROM evil.ran") == "postgres"  # the trap works
    town.postgres.sql("TRUNCATE evil.ran")
    out = f"{names.SPOOL_DIR}/archive/hippo/out"
    plant = f"mkdir -p {out} && cd {out} && mkfifo 000000010000000000000001.error && ln -s /etc/shadow 0.error"
    town.kubectl.run(*IN_POSTGRES, "sh", "-c", plant)
    before = looks(town)

    until(lambda: looks(town) >= before + 2, "the sidecar goes on asking PostgreSQL", 90, pause=2)
    assert town.postgres.sql("SELECT count(*) FROM evil.ran") == "0"
    town.postgres.sql("ALTER DATABASE postgres RESET search_path; ALTER DATABASE postgres OWNER TO postgres")
    town.kubectl.run(*IN_POSTGRES, "sh", "-c", f"rm {out}/*.error")


# --- who may make Deployments, and no claims -------------------------------------------------------------------------


def test_a_deployment_that_passes_for_an_instance_ends_no_claim(town: Town, installed, tmp_path: Path):
    """H5: with the labels and the owner of an instance, one too many: its claim, whosever it was, was deleted."""
    space, mallory = (
        town.kubectl,
        people.hired(town.kubectl, tmp_path, "deploys", rule("apps", "deployments", "create")),
    )
    people.wait_may(mallory, "create", "deployments")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    space.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "herd-7"}, "spec": claim})
    before, herd = space.get("pvc", "herd-7"), space.get("pgc", "herd")
    assert before is not None
    assert herd is not None
    labels = {names.MANAGED_BY: "pgwarden", names.LABEL_CLUSTER: "herd", names.LABEL_INSTANCE: "herd-7"}
    owner = {"apiVersion": names.API_VERSION, "kind": "PostgresCluster", "name": "herd", "uid": herd["metadata"]["uid"]}
    pod = neighbour(installed.image)["spec"]
    template = {"metadata": {"labels": labels}, "spec": pod}
    forged = {
        "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        "metadata": {"name": "herd-7", "labels": labels, "ownerReferences": [owner | {"controller": True}]},
    }  # fmt: skip
    assert people.made(mallory, forged) == ""
    until(lambda: space.get("deployment", "herd-7") is None, "it is removed, being one too many", 60)
    after = space.get("pvc", "herd-7")
    assert after is not None
    assert "deletionTimestamp" not in after["metadata"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"].get("ownerReferences") is None


_LISTENS = """
import socket
server = socket.create_server(("", 8433))
print("listens", flush=True)
while True:
    server.accept()[0].close()
    print("was asked", flush=True)
"""


def test_a_pod_with_the_labels_of_a_repository_host_is_asked_nothing(town: Town, installed):
    """M7: the controller took it for the host, and asked it first, by its name."""
    space, stranger = town.kubectl, neighbour(installed.image)
    labels = {names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: "host"}
    stranger["metadata"] = {"name": "0-host", "labels": labels}
    (container,) = stranger["spec"]["containers"]
    # Ready, it would stand behind the host's Service, and have half of the WAL sent to it.
    container |= {"command": ["python3", "-c", _LISTENS], "readinessProbe": {"exec": {"command": ["false"]}}}
    space.apply(stranger)
    try:
        until(lambda: "listens" in space.run("logs", "0-host", check=False).stdout, "it listens", 60)
        space.apply(backup("beside-a-stranger"))
        space.until("pgb", "beside-a-stranger", phase("Completed"), "is completed", 120)
        assert space.run("logs", "0-host").stdout.splitlines() == ["listens"]
    finally:
        space.delete("pod", "0-host", seconds=60)


# --- who may make Backups alone --------------------------------------------------------------------------------------


def test_a_forged_mark_ends_no_set(town: Town, tmp_path: Path):
    """C1: its kind: a Backup that claims, by the mark that users can write, to have made another's set, and is deleted."""
    backs = people.hired(town.kubectl, tmp_path, "backs", rule("pgwarden.io", "backups", "create get list delete"))
    people.wait_may(backs, "create", "pgb")
    base = town.kubectl.get("pgb", "base")
    assert base is not None
    sets = [one["label"] for one in info(town.kubectl)["backup"]]
    forged = backup("forged", "--type=full", deletionPolicy="Delete")
    forged["metadata"]["annotations"] = {names.ANNOTATION_DONE: base["metadata"]["annotations"][names.ANNOTATION_DONE]}
    backs.apply(forged)
    town.kubectl.until("pgb", "forged", lambda one: bool(one["status"]["phase"]), "is looked at", 60)
    backs.delete("pgb", "forged", seconds=60)
    assert [one["label"] for one in info(town.kubectl)["backup"]] == sets


def test_a_backup_does_not_pass_for_that_of_a_restore(town: Town, tmp_path: Path):
    """C1: its kind: what a Restore writes on its Backup, by somebody else. An undo of that name went back to where it said."""
    backs = people.hired(town.kubectl, tmp_path, "forges", rule("pgwarden.io", "backups", "create get list"))
    people.wait_may(backs, "create", "pgb")
    forged = backup("passes", "--type=full")
    forged["metadata"]["labels"] = {names.LABEL_RESTORE: "ghost"}
    forged["metadata"]["annotations"] = {
        names.ANNOTATION_RESTORE_ORDER: "a" * 32,
        names.ANNOTATION_RESTORE_UID: "b" * 36,
        names.ANNOTATION_TIMELINE_BEFORE: "1",
        names.ANNOTATION_LSN_BEFORE: "0/3000000",
        names.ANNOTATION_STOPPED: "2026-11-01T00:00:00Z",
        names.ANNOTATION_RESTORE_SEAL: "c" * 64,
    }
    backs.apply(forged)
    town.kubectl.until("pgb", "passes", phase("Completed"), "is completed", 120)
    told = info(town.kubectl)["backup"][-1]["annotation"]
    assert told[names.PGBACKREST_ANNOTATION_NAME] == "passes"
    assert names.PGBACKREST_ANNOTATION_RESTORE not in told


# --- a neighbour without any right ---------------------------------------------------------------------------------

OPEN = {
    "host": {names.PORT_PGBACKREST, names.PORT_AGENT},
    "pod": {names.PORT_POSTGRES, names.PORT_PGBACKREST, names.PORT_AGENT},
    "instance": {names.PORT_POSTGRES, names.PORT_PATRONI, names.PORT_PGBACKREST, names.PORT_AGENT},
    "webhook": {10250, 8080},
    "controller": {8080},
}
SCAN = """
import socket, sys, threading
found, ports = [], iter(range(1, 65536))
def scan():
    for port in ports:
        with socket.socket() as one:
            one.settimeout(5)
            if one.connect_ex((sys.argv[1], port)) == 0:
                found.append(port)
scan()
print(*found)
"""


@pytest.mark.parametrize("place", OPEN)
def test_no_port_is_open_but_those_that_are_meant_to_be(town: Town, place: str):
    """M9: the ports that a neighbour finds where NetworkPolicies are not enforced, of all there are."""
    where = places(town)[place]
    done = town.alley.run("exec", "-i", "neighbour", "--", "python3", "-", where, stdin=SCAN)
    assert {int(one) for one in done.stdout.split()} == OPEN[place]


@pytest.mark.parametrize("place", ["host", "other host", "pod", "instance"])
@pytest.mark.parametrize("port", [names.PORT_PGBACKREST, names.PORT_AGENT])
def test_a_neighbour_without_a_certificate_of_ours_is_told_nothing(town: Town, place: str, port: int):
    """M9: pgBackRest and agents, whose ports every pod of the cluster reaches."""
    for files in ({}, {"tls": True}, {"tls": True} | self_signed(town)):
        found = connect(town, places(town)[place], port, send="GET /status HTTP/1.0\r\n\r\n", **files)
        # Whoever has no certificate may ask pgBackRest's server whether it is there, and which version it has.
        greeting = '{"name":"pgBackRest","service":"remote","version":"' if port == names.PORT_PGBACKREST else ""
        assert found.got == "" or (greeting and found.got.startswith(greeting) and found.got.count("\n") == 1), found


@pytest.mark.parametrize(
    "call",
    [
        "POST /restart",
        "POST /reinitialize",
        "PATCH /config",
        "PUT /config",
        "POST /failover",
        "POST /switchover",
        "DELETE /restart",
        "POST /reload",
    ],
)
def test_a_neighbour_gives_patroni_no_orders(town: Town, call: str):
    """M9: Patroni's REST: reads are open; what changes something takes a certificate of the cluster's own."""
    asked: Object = {"send": f"{call} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}", "size": 0}
    where = places(town)["instance"], names.PORT_PATRONI
    found = connect(town, *where, tls=True, **asked)
    assert " 403 " in found.got.partition("\n")[0], found
    for files in ({}, {"tls": True} | self_signed(town)):
        assert " 200 " not in connect(town, *where, **files, **asked).got.partition("\n")[0]


#: The first message of PostgreSQL's protocol, of a user for a database.
STARTUP = "\0\3\0\0user\0{user}\0database\0postgres\0\0"


@pytest.mark.parametrize(("user", "said"), [("postgres", "rejects connection"), ("app", "no pg_hba.conf entry")])
def test_a_neighbour_reaches_postgresql_by_tls_alone_and_never_as_the_superuser(town: Town, user: str, said: str):
    """M9: PostgreSQL of an instance: a neighbour in clear text is told that there is no way in, before any password."""
    text = STARTUP.format(user=user)
    message = (len(text) + 4).to_bytes(4, "big").decode("latin-1") + text
    found = connect(town, places(town)["instance"], names.PORT_POSTGRES, send=message)
    assert said in found.got, found


@pytest.mark.parametrize("path", ["/", "/debug", "/config", "/../etc/passwd", "/mutate"])
@pytest.mark.parametrize("place", ["webhook", "controller"])
def test_a_neighbour_finds_probes_and_metrics_alone(town: Town, place: str, path: str):
    """M9: the plain port of webhook and controller; its metrics name namespaces and Repositories to everybody."""
    found = connect(town, places(town)[place], 8080, send=f"GET {path} HTTP/1.0\r\n\r\n")
    assert " 404 " in found.got.partition("\n")[0], found


def review(namespace: str, user: str, obj: Object) -> str:
    request = {
        "uid": "1", "kind": {"group": "pgwarden.io", "version": "v1alpha1", "kind": obj["kind"]}, "operation": "CREATE",
        "resource": {"group": "pgwarden.io", "version": "v1alpha1", "resource": "x"}, "namespace": namespace, "name": "x",
        "userInfo": {"username": user}, "object": obj,
    }  # fmt: skip
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


def post(path: str, body: str) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"


def test_a_neighbour_learns_nothing_of_the_webhook_in_its_own_name(town: Town):
    """M11: an admission request that no API server sent, in the name of an account that has no rights."""
    user = f"system:serviceaccount:{town.alley.namespace}:default"
    body = review(town.alley.namespace, user, backup("x") | {"spec": {"repository": "hippo"}})
    for path in ("/check", "/validate"):
        found = connect(town, places(town)["webhook"], 10250, tls=True, send=post(path, body))
        assert '"allowed":false' in found.got.replace(" ", ""), found
        assert "there is no Repository hippo" in found.got
        assert town.kubectl.namespace not in found.got


def test_a_neighbours_large_request_costs_the_webhook_nothing(town: Town):
    """H2: 12 MiB were read, and looked into, without an API server and without any right."""

    def restarts() -> list[int]:
        pods = town.kubectl.within(NAMESPACE).list("pods", "app.kubernetes.io/component=webhook")
        return sorted(one["status"]["containerStatuses"][0]["restartCount"] for one in pods)

    before, where, size = restarts(), places(town)["webhook"], 12 * 2**20
    head = f"POST /check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    for _ in range(4):
        found = connect(town, where, 10250, tls=True, send=head + "{}", size=size, most=1)
        assert " 413 " in found.got.partition("\n")[0] or found.error, found
    assert connect(town, where, 8080, send="GET /readyz HTTP/1.0\r\n\r\n").got.startswith("HTTP/1.0 200 ")
    assert restarts() == before
