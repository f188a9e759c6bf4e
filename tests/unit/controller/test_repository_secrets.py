"""Users' Secrets: noticed when they change, and refused with a way out where they cannot be used."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import structlog
from cryptography import x509

from controller import certificates, secret_data
from controller.agents import AgentError, Agents
from controller.credentials import MissingSecretError, concerns, read_credentials
from controller.repository import secret_watch
from controller.repository.secrets import Conf, ensure_authority, ensure_leaves
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.contract import calls
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient

SPEC = {
    "storageType": "s3",
    "s3": {"credentialsSecretRef": {"name": "keys"}, "caSecretRef": {"name": "ca"}},
    "encryption": {"secretRef": {"name": "cipher"}},
}


OWNED = {"ownerReferences": [{"kind": "Repository", "name": "hippo", "uid": "u"}]}


class Fake(KubeClient):
    """Secrets by name: a version, and what is in them."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.versions: dict[str, str] = {}
        self.data: dict[str, dict[str, bytes]] = {}
        self.repositories: dict[str, Any] = {}
        self.asked: list[str] = []

    async def request(self, method: str, path: str, **more: Any) -> Any:
        name = path.rpartition("/")[2]
        if path == paths.of("repositories", "ns", name) and name in self.repositories:
            return self.repositories[name]
        if name not in self.versions:
            raise errors.NotFound(404, "NotFound", name)
        self.asked.append(more.get("accept", ""))
        data = {key: base64.b64encode(value).decode() for key, value in self.data.get(name, {}).items()}
        return {"metadata": {"name": name, "resourceVersion": self.versions[name]} | OWNED, "data": data}


@pytest.fixture
def client():
    return Fake()


@pytest.fixture
def watch(client):
    cache = WatchCache(client, paths.of("repositories"))
    cache.items[("ns", "hippo")] = {"metadata": {"namespace": "ns", "name": "hippo"}, "spec": SPEC}
    cache.items[("ns", "plain")] = {"metadata": {"namespace": "ns", "name": "plain"}, "spec": {"storageType": "local"}}
    told: list[tuple[str, str]] = []
    made = secret_watch.SecretWatch(client, cache, told.append)
    made.told = told
    return made


def test_the_three_secrets_of_a_repository_are_known():
    assert list(secret_watch.named({"spec": SPEC})) == ["keys", "ca", "cipher"]
    assert list(secret_watch.named({"spec": {"storageType": "local"}})) == []


async def test_the_secret_with_the_keys_of_pods_is_watched_too(client):
    client.versions = {"keys": "1", "pods": "1"}
    cache = WatchCache(client, paths.of("repositories"))
    s3 = {"credentialsSecretRef": {"name": "keys"}, "podCredentialsSecretRef": {"name": "pods"}}
    cache.items["ns", "hippo"] = {"metadata": {"namespace": "ns", "name": "hippo"}, "spec": {"s3": s3}}
    told: list[tuple[str, str]] = []
    watch = secret_watch.SecretWatch(client, cache, told.append)
    await watch.look()
    client.versions["pods"] = "2"
    await watch.look()
    assert told == [("ns", "hippo")]


@pytest.mark.parametrize("changed", ["keys", "ca", "cipher"])
async def test_a_change_of_any_of_them_is_told_once(watch, client, changed):
    client.versions = {"keys": "1", "ca": "1", "cipher": "1"}
    await watch.look()
    await watch.look()
    assert watch.told == []
    client.versions[changed] = "2"
    await watch.look()
    await watch.look()
    assert watch.told == [("ns", "hippo")]


async def test_a_secret_that_comes_or_goes_is_a_change(watch, client):
    client.versions = {"ca": "1", "cipher": "1"}
    await watch.look()
    client.versions["keys"] = "1"
    await watch.look()
    del client.versions["keys"]
    await watch.look()
    assert watch.told == [("ns", "hippo")] * 2


async def test_the_content_is_never_asked_for(watch, client):
    client.versions = {"keys": "1", "ca": "1", "cipher": "1"}
    await watch.look()
    assert len(client.asked) == 3
    assert all("as=PartialObjectMetadata" in accept for accept in client.asked)


KEYS = {"s3-key": b"key", "s3-key-secret": b"secret"}
UNUSABLE = [
    ("no key", {"s3-key": b"key"}, "Secret keys has no key s3-key-secret; it has s3-key"),
    (
        "two lines",
        KEYS | {"s3-key-secret": b"a\nrepo1-path=/etc"},
        "key s3-key-secret of Secret keys must be a single line without",
    ),
    ("empty", KEYS | {"s3-key": b" \n"}, "key s3-key of Secret keys is empty"),
    ("not text", KEYS | {"s3-key": b"\xff\xfe"}, "key s3-key of Secret keys is not text"),
]


@pytest.mark.parametrize(("data", "sentence"), [row[1:] for row in UNUSABLE], ids=[row[0] for row in UNUSABLE])
async def test_a_secret_that_cannot_be_used_is_told_without_what_is_in_it(client, data, sentence):
    client.versions, client.data = {"keys": "1", "ca": "1", "cipher": "1"}, {"keys": data}
    with pytest.raises(MissingSecretError) as caught:
        await read_credentials(client, "ns", msgspec.convert(SPEC, RepositorySpec))
    assert sentence in str(caught.value)
    assert "/etc" not in str(caught.value)


async def test_line_breaks_at_the_end_do_not_count_and_other_usual_names_of_keys_do(client):
    client.versions = {"keys": "1", "ca": "1", "cipher": "1"}
    client.data = {
        "keys": {"AWS_ACCESS_KEY_ID": b"key\n", "AWS_SECRET_ACCESS_KEY": b"secret\n"},
        "ca": {"ca.crt": b"-----BEGIN"},
        "cipher": {"cipher-pass": b"pass phrase\n"},
    }
    found = await read_credentials(client, "ns", msgspec.convert(SPEC, RepositorySpec))
    assert (found.keys, found.cipher_pass) == ({"s3": {"s3-key": "key", "s3-key-secret": "secret"}}, "pass phrase")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "x\ny", ""])
async def test_a_secret_of_a_name_that_none_can_have_is_missing(client, name):
    with pytest.raises(MissingSecretError, match="there is no Secret"):
        await read_credentials(
            client, "ns", msgspec.convert({"encryption": {"secretRef": {"name": name}}}, RepositorySpec)
        )


class Poisoned(Fake):
    """Of one Secret the answer is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Any] = {}

    async def request(self, method: str, path: str, **more: Any) -> Any:
        answer = self.answers.get(path.rpartition("/")[2])
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is not None else await super().request(method, path, **more)


POISON = {
    "one that we may not see": errors.Invalid(403, "Forbidden", "no"),
    "one that the API server fails over": errors.ApiError(500, "InternalError", "etcd"),
    "one that no answer comes of": TimeoutError(),
    "a list": {"items": [], "metadata": {}},
    "something else": ["x"],
    "something nested": RecursionError("maximum recursion depth exceeded"),
}
SPECS = {
    "the folder above": {"s3": {"credentialsSecretRef": {"name": ".."}}},
    "this folder": {"encryption": {"secretRef": {"name": "."}}},
    "a line break": {"encryption": {"secretRef": {"name": "x\ny"}}},
    "no name": {"encryption": {"secretRef": {}}},
    "a name that is none": {"encryption": {"secretRef": {"name": 5}}},
    "a reference that is none": {"encryption": {"secretRef": "x"}},
    "s3 that is none": {"s3": ["x"]},
    "a spec that is none": "x",
    "no spec": None,
}


def poisoned(answers: dict[str, Any], spec: Any) -> tuple[Poisoned, secret_watch.SecretWatch, list[tuple[str, str]]]:
    """A healthy Repository between two of another tenant that have *spec*."""
    client = Poisoned()
    client.versions, client.answers = {"keys": "1", "ca": "1", "cipher": "1"}, answers
    cache = WatchCache(client, paths.of("repositories"))
    for namespace, name, found in (("evil", "a", spec), ("ns", "hippo", SPEC), ("worse", "z", spec)):
        cache.items[(namespace, name)] = {"metadata": {"namespace": namespace, "name": name}, "spec": found}
    told: list[tuple[str, str]] = []
    return client, secret_watch.SecretWatch(client, cache, told.append), told


@pytest.mark.parametrize(
    ("answers", "spec"),
    [
        *(
            pytest.param({"evil": answer}, {"s3": {"caSecretRef": {"name": "evil"}}}, id=name)
            for name, answer in POISON.items()
        ),
        *(pytest.param({}, spec, id=name) for name, spec in SPECS.items()),
    ],
)
async def test_a_poisonous_repository_among_healthy_ones_hides_no_rotated_key(answers, spec):
    client, watch, told = poisoned(answers, spec)
    await watch.look()
    client.versions["keys"] = "2"
    await watch.look()
    assert told == [("ns", "hippo")]


async def test_a_key_that_was_rotated_while_nobody_could_look_is_noticed_afterwards():
    client, watch, told = poisoned({}, None)
    await watch.look()
    client.answers["keys"], client.versions["keys"] = errors.ApiError(500, "InternalError", "etcd"), "2"
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            await watch.look()
    assert told == []
    assert [(line["event"], line["name"]) for line in logged] == [("cannot read a Secret", "keys")]
    client.answers.clear()
    await watch.look()
    assert told == [("ns", "hippo")]


async def test_a_key_that_was_rotated_before_it_was_asked_for_the_first_time_is_noticed(client):
    """By what was used for the Repository: among many, the first question may come minutes after the reading."""
    client.versions = {"keys": "2", "ca": "1", "cipher": "1"}
    cache = WatchCache(client, paths.of("repositories"))
    cache.items[("ns", "hippo")] = {"metadata": {"namespace": "ns", "name": "hippo"}, "spec": SPEC}
    told: list[tuple[str, str]] = []
    used = {"keys": "1", "ca": "1"}
    watch = secret_watch.SecretWatch(client, cache, told.append, lambda _key, secret: used.get(secret))
    await watch.look()
    assert told == [("ns", "hippo")]
    used["keys"] = "2"
    await watch.look()
    assert len(told) == 1


async def test_the_secrets_of_many_are_asked_for_at_a_bounded_rate(client, monkeypatch):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 125:
            raise EndOfRoundError

    monkeypatch.setattr(secret_watch.asyncio, "sleep", sleep)
    cache = WatchCache(client, paths.of("repositories"))
    for number in range(1000):
        name = f"db-{number}"
        cache.items["ns", name] = {
            "metadata": {"namespace": "ns", "name": name},
            "spec": {"s3": {"credentialsSecretRef": {"name": f"keys-{number}"}}},
        }
        client.versions[f"keys-{number}"] = "1"
    watch = secret_watch.SecretWatch(client, cache, lambda _key: None)
    with pytest.raises(EndOfRoundError):
        await watch.run()
    assert len(client.asked) >= 1000
    assert sum(slept[:125]) > 0.9 * 1000 / secret_watch.RATE


class EndOfRoundError(Exception):
    pass


@pytest.mark.parametrize(
    ("storage", "more"),
    [("local", [names.server("hippo")]), ("local,s3", [names.server("hippo")]), ("s3", [])],
)
def test_a_repositorys_own_secrets_are_watched_too(storage, more):
    metadata = {"namespace": "ns", "name": "hippo"}
    found = list(secret_watch.own({"metadata": metadata, "spec": {"storageType": storage}}))
    assert found == [names.ca_secret("hippo"), names.host("hippo"), names.pods("hippo"), *more]


NOW = datetime(2026, 11, 23, tzinfo=UTC)
CA, OTHER_CA = certificates.new_ca("a", NOW), certificates.new_ca("b", NOW)
BROKEN = {
    "nothing": {},
    "no key": {"ca.crt": CA.cert},
    "no certificate": {"ca.key": CA.key},
    "no PEM": {"ca.crt": b"AAAA", "ca.key": b"AAAA"},
    "another's key": {"ca.crt": CA.cert, "ca.key": OTHER_CA.key},
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_a_broken_authority_is_told_with_its_secret_and_a_way_out(client, data):
    name = names.ca_secret("hippo")
    client.versions[name], client.data[name] = "1", data
    repository = {"kind": "Repository", "metadata": {"namespace": "ns", "name": "hippo", "uid": "u"}}
    with pytest.raises(
        MissingSecretError, match=f"Secret {name}: .*delete the Secret: pgwarden then creates a new one"
    ):
        await ensure_authority(client, repository, NOW)
    mine = {"controller.crt": CA.cert, "controller.key": OTHER_CA.key}
    client.data[name] = data | mine
    client.repositories["hippo"] = repository
    with pytest.raises(AgentError, match=f"the certificates in Secret {name} cannot be used"):
        await Agents(client).host(("ns", "hippo"), "127.0.0.1", calls.status())


async def test_an_authority_that_somebody_else_has_made_is_not_talked_by(client):
    name = names.ca_secret("hippo")
    mine = {"controller.crt": CA.cert, "controller.key": CA.key, "ca.crt": CA.cert}
    client.versions[name], client.data[name] = "1", mine
    with pytest.raises(AgentError, match="Repository hippo was deleted"):
        await Agents(client).host(("ns", "hippo"), "127.0.0.1", calls.status())
    client.repositories["hippo"] = {"metadata": {"namespace": "ns", "name": "hippo", "uid": "another"}}
    with pytest.raises(AgentError, match=f"a Secret {name} that does not belong to this Repository"):
        await Agents(client).host(("ns", "hippo"), "127.0.0.1", calls.status())


async def test_an_authority_is_succeeded_before_its_end_and_its_agents_believe_both_meanwhile(client):
    kept: dict[str, Any] = {}

    async def request(method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        name = path.rpartition("/")[2]
        if method != "GET":
            name = body["metadata"]["name"]
            kept[name] = body | {"metadata": {"name": name, "resourceVersion": "1"} | OWNED}
        if name not in kept:
            raise errors.NotFound(404, "NotFound", name)
        return kept[name]

    client.request = request
    repository = {"kind": "Repository", "metadata": {"namespace": "ns", "name": "hippo", "uid": "u"}, "spec": SPEC}

    async def look(days: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
        now = NOW + timedelta(days=days)
        authority = await ensure_authority(client, repository, now)
        await ensure_leaves(client, repository, authority, Conf(server=""), "", now, "cluster.local")
        Agents(client).trust(("ns", "hippo"), authority)
        return secret_data.decode(authority), secret_data.decode(kept[names.pods("hippo")])

    first, given = await look(0)
    assert given["ca.crt"] == first["ca.crt"]
    joined, given = await look(certificates.CA_DAYS - 300)
    assert (joined["ca.crt"], given["ca.crt"]) == (first["ca.crt"], first["ca.crt"] + joined["next-ca.crt"])
    signs, given = await look(certificates.CA_DAYS - 240)
    assert signs["ca.crt"] == joined["next-ca.crt"]
    assert given["ca.crt"] == signs["ca.crt"] + first["ca.crt"]
    issuer = x509.load_pem_x509_certificate(signs["ca.crt"])
    for leaf in (given["tls.crt"], signs["controller.crt"]):
        x509.load_pem_x509_certificate(leaf).verify_directly_issued_by(issuer)
    alone, given = await look(certificates.CA_DAYS - 140)
    assert given["ca.crt"] == alone["ca.crt"] == signs["ca.crt"]


async def test_the_certificates_name_hosts_and_pods_in_short_and_with_the_domain_of_the_cluster(client):
    """And are issued anew where the domain is another."""
    applied: dict[str, dict[str, bytes]] = client.data

    async def request(method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        name = path.rpartition("/")[2]
        if method == "PATCH":
            applied[name] = {key: base64.b64decode(value) for key, value in body["data"].items()}
        if name not in applied:
            raise errors.NotFound(404, "NotFound", name)
        data = {key: base64.b64encode(value).decode() for key, value in applied[name].items()}
        return {"metadata": {"name": name, "resourceVersion": "1"} | OWNED, "data": data}

    client.request = request
    now = datetime(2026, 11, 23, tzinfo=UTC)
    repository = {"kind": "Repository", "metadata": {"namespace": "ns", "name": "hippo", "uid": "u"}, "spec": SPEC}
    ca = certificates.new_ca("pgwarden hippo", now)
    authority = {"data": {"ca.crt": base64.b64encode(ca.cert).decode(), "ca.key": base64.b64encode(ca.key).decode()}}
    for domain, is_new in (("cluster.local", True), ("cluster.local", False), ("example.internal", True)):
        leaves = await ensure_leaves(client, repository, authority, Conf(server=""), "", now, domain)
        assert leaves.written == is_new
        for secret, short in (
            (names.host("hippo"), names.host_dns("hippo", "ns")),
            (names.server("hippo"), names.host_dns("hippo", "ns")),
            (names.pods("hippo"), names.pod_dns_wildcard("hippo", "ns")),
        ):
            leaf = x509.load_pem_x509_certificate(applied[secret]["tls.crt"])
            found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert found.get_values_for_type(x509.DNSName) == [short, f"{short}.{domain}"]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, {}),
        ({"s3-sse-customer-key": b"c2VjcmV0\n"}, {"s3-sse-customer-key": "c2VjcmV0"}),
        ({"AWS_SESSION_TOKEN": b"t"}, {"s3-token": "t"}),
    ],
    ids=["neither", "a key that encrypts objects", "a temporary key's token"],
)
async def test_what_only_some_services_need_is_read_where_it_is_there(client, more, found):
    client.versions |= {"keys": "1", "ca": "1", "cipher": "1"}
    client.data |= {"ca": {"ca.crt": b"x"}, "cipher": {"cipher-pass": b"y"}}
    client.data["keys"] = {"s3-key": b"k", "s3-key-secret": b"s", **more}
    read = await read_credentials(client, "ns", msgspec.convert(SPEC, RepositorySpec))
    assert read.keys["s3"] == {"s3-key": "k", "s3-key-secret": "s"} | found


OF_PODS = SPEC | {"s3": SPEC["s3"] | {"podCredentialsSecretRef": {"name": "pods"}}}
FULL = {"s3-key": b"k", "s3-key-secret": b"s", "s3-token": b"t", "s3-sse-customer-key": b"c2VjcmV0"}


@pytest.fixture
def apart(client):
    """A client of two Secrets: `keys` with all that it may have, and `pods`."""
    client.versions |= {"keys": "1", "pods": "4", "ca": "1", "cipher": "1"}
    client.data |= {"ca": {"ca.crt": b"x"}, "cipher": {"cipher-pass": b"y"}, "keys": FULL}
    client.data["pods"] = {"s3-key": b"less", "s3-key-secret": b"p"}
    return client


async def test_pods_have_the_keys_of_the_host_where_they_have_none_of_their_own(apart):
    read = await read_credentials(apart, "ns", msgspec.convert(SPEC, RepositorySpec))
    assert read.pod_keys == read.keys
    assert "pods" not in read.versions


async def test_pods_get_their_own_keys_and_of_the_hosts_what_encrypts_objects_alone(apart):
    """Objects are encrypted with one key, whoever writes them; the token belongs to the key that it came with."""
    read = await read_credentials(apart, "ns", msgspec.convert(OF_PODS, RepositorySpec))
    assert read.keys["s3"] == {name: value.decode() for name, value in FULL.items()}
    assert read.pod_keys["s3"] == {"s3-key": "less", "s3-key-secret": "p", "s3-sse-customer-key": "c2VjcmV0"}
    assert read.versions["pods"] == "4"


async def test_a_token_of_the_pods_key_is_read_where_it_is_there(apart):
    apart.data["pods"]["AWS_SESSION_TOKEN"] = b"theirs"
    read = await read_credentials(apart, "ns", msgspec.convert(OF_PODS, RepositorySpec))
    assert read.pod_keys["s3"]["s3-token"] == "theirs"


async def test_a_missing_secret_of_the_pods_is_told_by_its_own_field_and_no_other_keys_take_its_place(apart):
    del apart.versions["pods"]
    with pytest.raises(MissingSecretError) as caught:
        await read_credentials(apart, "ns", msgspec.convert(OF_PODS, RepositorySpec))
    assert str(caught.value) == "spec.s3.podCredentialsSecretRef: there is no Secret pods in namespace ns; create it"
    assert concerns(str(caught.value)) == "s3"
