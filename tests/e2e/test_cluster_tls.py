"""Who reaches a PostgresCluster by TLS, who does not, and a certificate that is another under a client's connection."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from controller import certificates, succession
from controller.certificates import Pair
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true
from harness.postgres import IMAGE
from harness.s3_steps import says
from harness.waiting import until

STARTED = "SELECT pg_postmaster_start_time()"
OURS = "/tmp/ours.crt"
#: One connection that writes a row five times a second; what ends it is in /tmp/ended.
WRITES = """\
psql -X -q -d "$1" -c 'CREATE TABLE held (at timestamptz DEFAULT clock_timestamp())' || exit 1
(while sleep 0.2; do echo 'INSERT INTO held DEFAULT VALUES;'; done | psql -X -q -v ON_ERROR_STOP=1 -d "$1"; echo > /tmp/ended) < /dev/null > /tmp/held 2>&1 &
"""
#: Of another instance's Patroni, by whoever has no certificate: how it is, and an order with the right password.
ASKS = """\
import base64, os, ssl, sys, urllib.error, urllib.request
tls = ssl._create_unverified_context()
word = base64.b64encode(f"patroni:{os.environ['PATRONI_RESTAPI_PASSWORD']}".encode()).decode()
for method, path in (("GET", "patroni"), ("POST", "reload")):
    asked = urllib.request.Request(f"https://{sys.argv[1]}:8008/{path}", method=method, headers={"Authorization": f"Basic {word}"})
    try:
        print(urllib.request.urlopen(asked, context=tls, timeout=10).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
"""
#: What an instance has.
OWN = """\
tls = ssl.create_default_context(cafile="/etc/pgwarden-tls/instance-ca.crt")
tls.check_hostname = False
tls.load_cert_chain("/etc/pgwarden-tls/instance.crt", "/etc/pgwarden-tls/instance.key")
"""


@dataclass
class Client:
    """A pod of an application's: it has the image's psql, and the CA from the Secret."""

    space: Kubectl

    def shell(self, script: str, *arguments: str, stdin: str | None = None) -> tuple[int, str]:
        argv = ["exec", "-i", "client", "--", "sh", "-c", script, "sh", *arguments]
        done = self.space.run(*argv, check=False, stdin=stdin)
        return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()

    def asks(self, statement: str = "SELECT 1", **words: str) -> tuple[int, str]:
        """*statement*, by a connection string of *words*."""
        secret = self.space.get("secret", "hippo-credentials")
        data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        if "ca" not in words:
            self.shell(f"cat > {OURS}", stdin=data["ca.crt"])
        host = f"hippo-primary.{self.space.namespace}.svc"
        given = {"host": host, "user": "app", "dbname": "app", "password": data["password"], "sslrootcert": OURS}
        if words.get("user", "app") == "postgres":
            given["password"] = data["superuser-password"]
        if words.get("user") == "replicator":
            given["password"] = data["replication-password"]
        if ca := words.pop("ca", ""):
            self.shell("cat > /tmp/theirs.crt", stdin=ca)
            given["sslrootcert"] = "/tmp/theirs.crt"
        line = " ".join(f"{key}={shlex.quote(value)}" for key, value in (given | words).items())
        return self.shell('psql -X -A -t -d "$1" -c "$2"', line, statement)

    def believes(self, ca: bytes) -> bool:
        """Whether the server shows a certificate of *ca* and of its name."""
        return self.asks(sslmode="verify-full", ca=ca.decode())[0] == 0


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    return Cluster.made(space, manifest())


@pytest.fixture(scope="module")
def client(hippo: Cluster, space: Kubectl) -> Client:
    container = {"name": "client", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": spec})
    space.until("pod", "client", is_true("Ready"), "is ready", 60)
    return Client(space)


def test_a_client_without_tls_is_refused_and_one_that_verifies_the_server_gets_in(client: Client, space: Kubectl):
    assert "no encryption" in client.asks(sslmode="disable")[1]
    whole = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert client.asks(whole, sslmode="verify-full") == (0, "t|TLSv1.3")
    uri = base64.b64decode(space.get("secret", "hippo-credentials")["data"]["uri"]).decode()
    assert uri.endswith("/app?sslmode=require")
    assert client.shell('psql -X -A -t -d "$1" -c "$2"', uri, whole) == (0, "t|TLSv1.3")
    assert "TLSv1.1" not in client.asks(sslmode="require", ssl_max_protocol_version="TLSv1.2")[1]
    assert client.asks(sslmode="require", ssl_min_protocol_version="TLSv1", ssl_max_protocol_version="TLSv1.1")[0] != 0


def test_neither_the_superuser_nor_a_replica_of_somebodys_gets_in_from_outside(client: Client):
    assert "pg_hba.conf rejects connection" in client.asks(user="postgres", dbname="postgres", sslmode="require")[1]
    assert "pg_hba.conf rejects connection" in client.asks(user="replicator", dbname="postgres", sslmode="require")[1]
    refused = client.asks("IDENTIFY_SYSTEM", user="replicator", replication="true", sslmode="require")
    assert "requires a valid client certificate" in refused[1]


def test_a_replica_streams_by_tls_and_verifies_its_primary(hippo: Cluster):
    told = hippo.sql(
        "SELECT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE state = 'streaming'"
    )
    assert told == "t|/CN=hippo-instance"
    assert "sslmode=verify-ca" in hippo.sql("SELECT conninfo FROM pg_stat_wal_receiver", "hippo-2")


def test_pg_rewinds_role_gets_in_from_an_instance_and_from_nowhere_else(hippo: Cluster, client: Client, space: Kubectl):
    told = json.loads(space.get("configmap", "hippo-patroni")["data"]["tls"])["postgresql"]["authentication"]["rewind"]
    words = " ".join(f"{key}={value}" for key, value in told.items())
    host = f"hippo-primary.{space.namespace}.svc"
    asks = f'PGPASSWORD=$PATRONI_REWIND_PASSWORD psql -X -A -t -d "host={host} user=rewind dbname=postgres {words}" -c "SELECT 1"'
    argv = ["exec", "deployment/hippo-2", "-c", "postgres", "--", "sh", "-c", asks]
    assert space.run(*argv).stdout.strip() == "1"
    refused = client.asks(user="rewind", dbname="postgres", sslmode="require")
    assert "requires a valid client certificate" in refused[1]


def test_patroni_takes_no_order_from_who_has_a_password_and_no_certificate(hippo: Cluster, space: Kubectl):
    address = space.get("pod", hippo.pod("hippo-2"))["status"]["podIP"]
    done = space.run("exec", "deployment/hippo-1", "-c", "postgres", "--", "python3", "-c", ASKS, address)
    assert done.stdout.splitlines() == ["200", "403 client certificate required"]
    # With one it does: by its own.
    by_its_own = ASKS.replace("tls = ssl._create_unverified_context()", OWN)
    done = space.run("exec", "deployment/hippo-1", "-c", "postgres", "--", "python3", "-c", by_its_own, address)
    assert done.stdout.splitlines() == ["200", "202"]


def give(space: Kubectl, ca: Pair, key: bytes = b"") -> None:
    """A Secret as cert-manager writes it."""
    name = f"hippo-primary.{space.namespace}.svc"
    leaf = certificates.issue(ca, name, [name], datetime.now(UTC))
    data = {"tls.crt": leaf.cert, "tls.key": key or leaf.key, "ca.crt": ca.cert}
    metadata = {"name": "mine"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls"}
    space.apply(secret | {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}})


@pytest.fixture(scope="module")
def first() -> Pair:
    return certificates.new_ca("first", datetime.now(UTC))


@pytest.fixture(scope="module")
def held(client: Client, hippo: Cluster, space: Kubectl) -> Callable[[], None]:
    """What is true of one connection from now on, and of the server."""
    uri = base64.b64decode(space.get("secret", "hippo-credentials")["data"]["uri"]).decode()
    assert client.shell(WRITES + "exit 0", uri)[0] == 0
    started = hippo.sql(STARTED), hippo.sql(STARTED, "hippo-2")

    def goes_on() -> None:
        rows = int(hippo.postgres().sql("SELECT count(*) FROM held", database="app"))
        until(lambda: int(hippo.postgres().sql("SELECT count(*) FROM held", database="app")) > rows, "it writes on", 30)
        assert client.shell("test ! -e /tmp/ended")[0] == 0
        assert (hippo.sql(STARTED), hippo.sql(STARTED, "hippo-2")) == started

    return goes_on


def test_of_a_secret_that_is_missing_it_is_told_and_all_goes_on(held, hippo: Cluster, space: Kubectl, client: Client):
    hippo.change(tls={"secretRef": {"name": "mine"}})
    found = space.until("pgc", "hippo", says("Encryption", "False", "does not exist"), "says so", 60)
    assert condition(found, "Encryption")["reason"] == "TLSSecretUnusable"
    assert client.asks(sslmode="verify-full")[0] == 0
    held()


def test_the_users_certificate_is_served_without_a_lost_connection(held, first: Pair, space: Kubectl, client: Client):
    give(space, first)
    until(lambda: client.believes(first.cert), "the certificate of the first CA is served", 120)
    space.until("pgc", "hippo", says("Encryption", "True", "speak TLS"), "says so", 60)
    assert client.asks(sslmode="verify-full")[0] == 0  # by the Secret's ca.crt
    held()


def test_a_broken_one_is_told_and_the_last_good_one_goes_on(held, first: Pair, space: Kubectl, client: Client):
    give(space, first, key=certificates.new_ca("another", datetime.now(UTC)).key)
    space.until("pgc", "hippo", says("Encryption", "False", "does not belong to the certificate"), "says so", 60)
    assert client.believes(first.cert)
    held()


def test_the_next_certificate_replaces_it_and_the_replica_streams_on(
    held, hippo: Cluster, space: Kubectl, client: Client
):
    second = certificates.new_ca("second", datetime.now(UTC))
    give(space, second)
    until(lambda: client.believes(second.cert), "the certificate of the second CA is served", 120)
    space.until("pgc", "hippo", says("Encryption", "True", "speak TLS"), "says so", 60)
    held()
    streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    hippo.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    until(lambda: hippo.sql(streams) == "1", "the replica verifies the new certificate", 60)


def secret_data(space: Kubectl, name: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in space.get("secret", name)["data"].items()}


def test_the_clusters_own_authority_is_succeeded_and_nobody_is_left_behind(
    held, hippo: Cluster, space: Kubectl, client: Client
):
    """As if its successor had been made a month ago, which instances and clients now get to know first."""
    later = certificates.new_ca("pgwarden hippo instances", datetime.now(UTC) - succession.NOTICE - timedelta(days=1))
    old = secret_data(space, "hippo-instance-ca")["ca.crt"]
    told = {succession.KEY_NEXT_CERT: later.cert, succession.KEY_NEXT_KEY: later.key}
    data = {key: base64.b64encode(value).decode() for key, value in told.items()}
    space.run("patch", "secret", "hippo-instance-ca", "--type=merge", "-p", json.dumps({"data": data}))
    until(lambda: secret_data(space, "hippo-instance-ca")["ca.crt"] == later.cert, "the successor signs", 120)
    both = later.cert + old
    until(lambda: secret_data(space, "hippo-instance-tls")["instance-ca.crt"] == both, "instances believe both", 30)
    given = secret_data(space, "hippo-instance-tls")
    until(lambda: both in secret_data(space, "hippo-credentials")["ca.crt"], "clients do", 30)
    serial = x509.load_pem_x509_certificate(given["instance.crt"]).serial_number
    shown = "SELECT client_serial FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE state = 'streaming'"

    def streams_with_it() -> bool:
        hippo.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        return until(lambda: hippo.sql(shown), "the replica streams again", 60) == str(serial)

    until(streams_with_it, "the replica shows the certificate of the successor", 120, pause=5)
    test_patroni_takes_no_order_from_who_has_a_password_and_no_certificate(hippo, space)
    hippo.change(tls={"secretRef": None})
    until(lambda: client.believes(later.cert), "a certificate of the successor is served", 180)
    held()


def test_a_client_that_cannot_is_let_in_where_the_spec_says_so(hippo: Cluster, client: Client):
    hippo.change(tls={"required": False})
    until(lambda: client.asks(sslmode="disable")[0] == 0, "clear text is let in", 60)
    assert "pg_hba.conf rejects connection" in client.asks(user="postgres", dbname="postgres", sslmode="disable")[1]
    assert hippo.wait_ready()["phase"] == "Ready"
