"""What instances speak TLS by: of the cluster's own CA, or the user's; and what is said where that cannot be served."""

from __future__ import annotations

import base64
import copy
import dataclasses
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from controller import certificates, owned
from controller.certificates import Pair
from controller.cluster import encryption, handed_out, report, user_certificate
from controller.cluster import instance as make
from controller.cluster.actions import ClusterDecision
from controller.cluster.certificate_keeper import CertificateKeeper
from controller.cluster.encryption import Mode, Served
from controller.cluster.facts import ClusterFacts, Instance
from controller.context import Caches, Context
from controller.runtime import conditions
from controller.secret_data import decode
from controller.settings import Settings
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import APPLY, KubeClient
from pgwarden.kube.events import Recorder
from tests.unit import plain_ca
from tests.unit.controller.cluster.conftest import NOW, facts, instance, spec

Object = dict[str, Any]
OWN, CA, MINE = "hippo-instance-tls", "hippo-instance-ca", "mine"
ASKED = {"secretRef": {"name": MINE}}
USERS_CA = certificates.new_ca("the user's", NOW)


def encoded(data: dict[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


class Store(KubeClient):
    """Secrets by their name, and which pods were touched."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.there: dict[str, Object] = {}
        self.touched: list[str] = []
        self.written: list[str] = []

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "", **_: Any) -> Any:
        plural, name = path.rsplit("/", 2)[-2:]
        if method == "GET":
            if name not in self.there:
                raise errors.NotFound(404, "NotFound", path)
            return copy.deepcopy(self.there[name])
        if plural == "pods":
            self.touched.append(name)
            return {}
        if method == "PATCH" and content_type != APPLY:
            self.there[name]["data"] |= body["data"]
            return self.there[name]
        name = body["metadata"]["name"]
        self.there[name] = copy.deepcopy(body)
        self.written.append(name)
        return body

    def data(self, name: str = OWN) -> dict[str, bytes]:
        return decode(self.there[name])

    def give(self, data: dict[str, bytes], kind: str = "kubernetes.io/tls") -> None:
        self.there[MINE] = {"kind": "Secret", "metadata": {"name": MINE}, "type": kind, "data": encoded(data)}


def context(store: Store, now: datetime = NOW) -> Context:
    agents: Any = None
    settings = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
    return Context(store, Caches(store), agents, Recorder(store, "c"), settings, clock=lambda: now)


def asking(*instances: Instance, **given: Any) -> ClusterFacts:
    found = facts(*instances, **given)
    return dataclasses.replace(found, cluster=found.cluster | {"kind": "PostgresCluster"})


def pair(ca: Pair = USERS_CA, since: datetime = NOW) -> dict[str, bytes]:
    leaf = certificates.issue(ca, "hippo-primary", ["hippo-primary"], since, 90)
    return {"tls.crt": leaf.cert, "tls.key": leaf.key, "ca.crt": ca.cert}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def keeper(store: Store) -> CertificateKeeper:
    return CertificateKeeper(context(store))


def is_of(cert: bytes, ca: bytes) -> bool:
    return user_certificate._issued(*(x509.load_pem_x509_certificate(one) for one in (cert, ca)))


async def test_its_own_authority_signs_one_for_each_name_that_it_has(keeper: CertificateKeeper, store: Store):
    found = await keeper.keep(asking())
    data = store.data()
    assert data["tls.crt"] == data["instance.crt"]
    assert found.served.ca == data["ca.crt"] == data["instance-ca.crt"] == store.data(CA)["ca.crt"]
    assert is_of(data["tls.crt"], data["ca.crt"])
    assert "ca.key" not in data
    cert = x509.load_pem_x509_certificate(data["tls.crt"])
    named = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    services = [f"hippo-{which}{rest}" for which in ("primary", "replicas") for rest in ("", ".ns", ".ns.svc")]
    whole = ["hippo-primary.ns.svc.cluster.local", "hippo-replicas.ns.svc.cluster.local"]
    pods = ["*.hippo-pgbackrest-pods.ns.svc", "*.hippo-pgbackrest-pods.ns.svc.cluster.local"]
    assert sorted(named) == sorted(["localhost", *services, *whole, *pods])
    assert (found.left, store.touched) == ("", [])


async def test_what_is_good_is_written_once_and_in_time_anew_and_the_pods_are_touched(store: Store):
    keeper = CertificateKeeper(context(store))
    await keeper.keep(asking())
    first, ca = store.data(), store.data(CA)
    await CertificateKeeper(context(store)).keep(asking())
    assert store.written == [CA, OWN]
    late = dataclasses.replace(asking(instance(1, "primary")), now=NOW + timedelta(days=61))
    await keeper.keep(late)
    assert store.written == [CA, OWN, OWN]
    assert store.data()["tls.crt"] != first["tls.crt"]
    assert (store.data(CA), store.touched) == (ca, ["hippo-1-pod"])


def unready(number: int) -> Instance:
    found = instance(number, "replica")
    assert found.pod is not None
    pod = copy.deepcopy(found.pod)
    pod["status"]["conditions"] = [one | {"status": "False"} for one in pod["status"]["conditions"]]
    return dataclasses.replace(found, pod=pod)


async def test_its_authority_is_succeeded_before_its_end_and_clients_get_both(keeper: CertificateKeeper, store: Store):
    secret = credentials("postgresql://app:p@h:5432/app")
    store.there["hippo-credentials"] = copy.deepcopy(secret)

    async def look(days: int, *instances: Instance) -> tuple[dict[str, bytes], dict[str, bytes]]:
        at = asking(*(instances or (instance(1, "primary"),)), credentials=secret)
        await keeper.keep(dataclasses.replace(at, now=NOW + timedelta(days=days)))
        assert store.data("hippo-credentials")["ca.crt"] == store.data()["ca.crt"] == store.data()["instance-ca.crt"]
        return store.data(CA), store.data()

    ten_years = certificates.CA_DAYS
    first, _ = await look(0)
    joined, served = await look(ten_years - 360)
    assert joined["ca.crt"] == first["ca.crt"]
    assert served["ca.crt"] == first["ca.crt"] + joined["next-ca.crt"]
    assert is_of(served["tls.crt"], first["ca.crt"])
    waits, served = await look(ten_years - 320, instance(1, "primary"), unready(2))
    assert waits == joined
    assert is_of(served["tls.crt"], first["ca.crt"])
    signs, served = await look(ten_years - 319)
    assert signs["ca.crt"] == joined["next-ca.crt"]
    assert served["ca.crt"] == signs["ca.crt"] + first["ca.crt"]
    assert is_of(served["tls.crt"], signs["ca.crt"])
    alone, served = await look(ten_years - 220)
    assert served["ca.crt"] == alone["ca.crt"] == signs["ca.crt"]
    assert {key for key, value in alone.items() if value} == {"ca.crt", "ca.key"}


async def test_nobodys_or_anothers_secret_of_the_name_is_not_believed(keeper: CertificateKeeper, store: Store):
    store.there[CA] = {
        "kind": "Secret",
        "metadata": {"name": CA, "ownerReferences": [{"uid": "x", "kind": "Job", "name": "j"}]},
    }
    with pytest.raises(owned.InTheWayError, match="does not belong to this cluster"):
        await keeper.keep(asking())


async def test_while_instances_of_an_earlier_release_stand_nothing_is_made(keeper: CertificateKeeper, store: Store):
    standing = dataclasses.replace(asking(instance(1, "primary")), encryption=Mode.OFF)
    assert await keeper.keep(standing) is standing
    assert store.there == {}


async def test_the_users_is_served_and_both_authorities_are_believed(keeper: CertificateKeeper, store: Store):
    given = pair()
    store.give(given)
    found = await keeper.keep(asking(spec=spec(tls=ASKED)))
    data = store.data()
    assert (found.served.trouble, data["tls.crt"], data["tls.key"]) == ("", given["tls.crt"], given["tls.key"])
    believed = x509.load_pem_x509_certificates(data["ca.crt"])
    assert believed == x509.load_pem_x509_certificates(USERS_CA.cert + store.data(CA)["ca.crt"])
    assert is_of(data["instance.crt"], data["instance-ca.crt"])  # Patroni's REST stays with the cluster's own


async def test_a_missing_secret_is_waited_for_before_the_first_instance(keeper: CertificateKeeper, store: Store):
    found = await keeper.keep(asking(spec=spec(tls=ASKED)))
    assert found.left == found.served.trouble
    assert found.left == "spec.tls.secretRef: Secret mine does not exist in namespace ns; create it"
    assert OWN not in store.there
    store.give(pair())
    assert (await keeper.keep(asking(spec=spec(tls=ASKED)))).left == ""


async def test_the_last_good_one_goes_on_when_the_users_breaks(keeper: CertificateKeeper, store: Store):
    good = pair()
    store.give(good)
    cluster = asking(instance(1, "primary"), spec=spec(tls=ASKED))
    await keeper.keep(cluster)
    store.give(good | {"tls.key": pair()["tls.key"]})
    found = await keeper.keep(cluster)
    assert "does not belong to the certificate" in found.served.trouble
    assert found.left == ""
    assert (store.data()["tls.crt"], store.data()["tls.key"]) == (good["tls.crt"], good["tls.key"])
    del store.there[MINE]
    assert "does not exist" in (await keeper.keep(cluster)).served.trouble
    assert store.data()["tls.crt"] == good["tls.crt"]
    store.give(newer := pair())
    assert (await keeper.keep(cluster)).served.trouble == ""
    assert store.data()["tls.crt"] == newer["tls.crt"]


async def test_a_standing_cluster_keeps_its_own_until_the_users_can_be_served(keeper: CertificateKeeper, store: Store):
    await keeper.keep(asking(instance(1, "primary")))
    own = store.data()
    found = await keeper.keep(asking(instance(1, "primary"), spec=spec(tls=ASKED)))
    assert found.served.trouble
    assert store.data() == own


def locked(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return loaded.private_bytes(*form, serialization.BestAvailableEncryption(b"x"))


BROKEN = {
    "no key": (lambda good: good | {"tls.key": b""}, "has no tls.key"),
    "no authority": (lambda good: {key: good[key] for key in ("tls.crt", "tls.key")}, "has no ca.crt"),
    "no certificate": (lambda good: good | {"tls.crt": b"x"}, "has no certificates that can be read"),
    "a key that is none": (lambda good: good | {"tls.key": b"x"}, "has no private key that can be read"),
    "an encrypted key": (lambda good: good | {"tls.key": locked(good["tls.key"])}, "without a passphrase"),
    "another's key": (lambda good: good | {"tls.key": pair()["tls.key"]}, "does not belong to the certificate"),
    "of another authority": (
        lambda good: good | {"ca.crt": certificates.new_ca("other", NOW).cert}, "was not issued by ca.crt",
    ),
    "expired": (lambda _: pair(since=NOW - timedelta(days=91)), "expired at 2026-11-22T"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
async def test_what_cannot_be_served_is_told_with_what_is_wrong(case: str, keeper: CertificateKeeper, store: Store):
    broken, said = BROKEN[case]
    store.give(broken(pair()))
    found = await keeper.keep(asking(instance(1, "primary"), spec=spec(tls=ASKED)))
    assert said in found.served.trouble
    assert found.served.trouble.startswith("spec.tls.secretRef: Secret mine ")
    assert is_of(store.data()["tls.crt"], store.data(CA)["ca.crt"])


async def test_a_secret_of_another_type_is_not_read(keeper: CertificateKeeper, store: Store):
    store.give(pair(), kind="Opaque")
    found = await keeper.keep(asking(spec=spec(tls=ASKED)))
    assert found.left == "spec.tls.secretRef: Secret mine is of type Opaque; it must be of type kubernetes.io/tls"


async def test_a_certificate_may_come_with_those_between_it_and_its_authority(keeper: CertificateKeeper, store: Store):
    root = plain_ca.signed("root")
    between = plain_ca.signed("between", root)
    leaf = plain_ca.signed("hippo-primary", between)
    cluster = asking(spec=spec(tls=ASKED), now=plain_ca.NOW)
    store.give({"tls.crt": leaf.pem, "tls.key": leaf.key_pem, "ca.crt": root.pem})
    assert "was not issued by ca.crt" in (await keeper.keep(cluster)).served.trouble
    store.give({"tls.crt": leaf.pem + between.pem, "tls.key": leaf.key_pem, "ca.crt": root.pem})
    assert (await keeper.keep(cluster)).served.trouble == ""


def credentials(uri: str) -> Object:
    data = encoded({"uri": uri.encode(), "password": b"p"})
    return {
        "kind": "Secret",
        "metadata": {"name": "hippo-credentials", "namespace": "ns", "resourceVersion": "1"},
        "data": data,
    }


async def test_clients_are_told_once_all_instances_speak_tls(keeper: CertificateKeeper, store: Store):
    secret = credentials("postgresql://app:p@h:5432/app")
    store.there["hippo-credentials"] = copy.deepcopy(secret)
    begun = dataclasses.replace(asking(instance(1, "primary"), credentials=secret), encryption=Mode.BEGUN)
    await keeper.keep(begun)
    assert store.there["hippo-credentials"] == secret
    await keeper.keep(dataclasses.replace(begun, encryption=Mode.WHOLE))
    found = store.data("hippo-credentials")
    assert found["ca.crt"] == store.data(CA)["ca.crt"]
    assert found["uri"] == b"postgresql://app:p@h:5432/app?sslmode=require"
    assert found["password"] == b"p"


@pytest.mark.parametrize("uri", ["postgresql://a:b@h/d?sslmode=verify-full", "mysql://a:b@h/d", "", "postgresql://["])
def test_an_uri_that_says_what_it_wants_or_is_none_is_left_as_it_is(uri: str):
    assert set(handed_out.missing(credentials(uri), b"c")) == {"ca.crt"}


def test_an_uri_keeps_its_other_parameters():
    told = handed_out.missing(credentials("postgresql://a:b%2F@h/d?connect_timeout=3"), b"c")["uri"]
    assert urlsplit(base64.b64decode(told).decode()).query == "connect_timeout=3&sslmode=require"
    assert base64.b64decode(told).startswith(b"postgresql://a:b%2F@h/d?")


# --- from a release before -----------------------------------------------------------------------------------------

BEFORE, OTHER = "before", "other"


def one(template: str = BEFORE, *, made_with: bool = False, runs_with: bool | None = None) -> encryption.Standing:
    return encryption.Standing(template, made_with, made_with if runs_with is None else runs_with)


MODES: dict[str, tuple[list[encryption.Standing], Object, Mode]] = {
    "a new cluster": ([], {}, Mode.WHOLE),
    "as an earlier release made it": ([one(), one()], {}, Mode.OFF),
    "TLS is asked for": ([one(), one()], {"tls": {"required": True}}, Mode.BEGUN),
    "rolled for another reason": ([one(OTHER), one(OTHER)], {}, Mode.BEGUN),
    "one is made": ([one(OTHER, made_with=True), one()], {}, Mode.BEGUN),
    "the last pod of before still runs": ([one(OTHER, made_with=True, runs_with=False)], {}, Mode.BEGUN),
    "all are made": ([one(OTHER, made_with=True), one(OTHER, made_with=True)], {}, Mode.WHOLE),
}


@pytest.mark.parametrize("case", MODES)
def test_a_cluster_of_an_earlier_release_comes_over_when_it_is_rolled(case: str):
    standing, asked, mode = MODES[case]
    assert encryption.mode(spec(**asked), standing, lambda: BEFORE) is mode


def test_the_mark_of_a_template_without_certificates_is_that_of_the_release_before_them():
    """Else `helm upgrade` would roll every cluster there is."""
    settings = Settings("i", "Always", "pw", "c", "t", "w", "m", "v", OperatorDefaults(), 8080, "l")
    cluster = {"kind": "PostgresCluster", "metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}}
    wanted = msgspec.convert(
        {"instances": {"replicas": 3}, "repository": {"storageType": "local"}}, PostgresClusterSpec
    )
    assert make.digest(cluster, wanted, settings, tls=False) == "4414a856a701070d"
    assert make.digest(cluster, wanted, settings) != "4414a856a701070d"
    template = make.deployment(cluster, wanted, settings, 1, "", tls=False)["spec"]["template"]
    assert not encryption.carries(template)
    with_it = make.deployment(cluster, wanted, settings, 1, "")["spec"]["template"]
    assert encryption.carries(with_it)
    (container,) = with_it["spec"]["containers"]
    assert {container[which]["httpGet"]["scheme"] for which in ("startupProbe", "readinessProbe", "livenessProbe")} == {
        "HTTPS"
    }


SAID: dict[str, tuple[Mode, Object, Served, tuple[bool, str], str]] = {
    "all speak it": (Mode.WHOLE, {}, Served(), (True, "Encrypted"), "clients, replication and Patroni speak TLS"),
    "clients may choose": (
        Mode.WHOLE, {"tls": {"required": False}}, Served(), (True, "ClientsMayChoose"), "clients need not",
    ),
    "some are restarted": (Mode.BEGUN, {}, Served(), (False, "TurningOn"), "once all instances"),
    "of an earlier release": (Mode.OFF, {}, Served(), (False, "ClearText"), "kubectl patch pgc hippo"),
    "in trouble": (Mode.WHOLE, {}, Served(b"c", None, "no key"), (False, "TLSSecretUnusable"), "no key"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_the_condition_says_who_speaks_tls_and_the_way_there(case: str):
    mode, asked, served, said, words = SAID[case]
    found = facts(instance(1, "primary"), spec=spec(**asked), encryption=mode, served=served)
    condition = conditions.find(report.status(found, ClusterDecision(None, ""))["conditions"], encryption.CONDITION)
    assert condition is not None
    assert (condition["status"], condition["reason"]) == (str(said[0]), said[1])
    assert words in condition["message"]
