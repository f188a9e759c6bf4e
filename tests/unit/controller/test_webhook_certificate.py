"""The webhook's certificate over ten years of the clock: renewed in time, and trusted at each moment."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from controller import certificates
from controller import webhook_certificate as module
from controller.certificates import Pair
from controller.context import Caches, Context
from controller.runtime.backoff import Tries
from controller.settings import Settings
from controller.webhook_certificate import KEY_BUNDLE, PACE, decide, pause
from harness.waiting import SLOWER
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

BEGIN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DNS = ["w.ns.svc", "w.ns.svc.cluster.local"]


def bundle(content: dict[str, bytes]) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(content[KEY_BUNDLE])


def trusted(content: dict[str, bytes], leaf: bytes) -> bool:
    certificate = x509.load_pem_x509_certificate(leaf)
    for authority in bundle(content):
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception:  # noqa: BLE001  cryptography has several for this
            continue
        return True
    return False


def test_what_is_good_is_left_alone():
    first = decide({}, DNS, BEGIN)
    assert decide(first, DNS, BEGIN + timedelta(days=59)) == first


def test_a_leaf_is_renewed_by_the_same_authority_when_a_third_of_its_life_is_left():
    first = decide({}, DNS, BEGIN)
    later = decide(first, DNS, BEGIN + timedelta(days=61))
    assert later["tls.crt"] != first["tls.crt"]
    assert later["ca.crt"] == first["ca.crt"]
    assert len(bundle(later)) == 1


@pytest.mark.parametrize("key", ["ca.crt", "tls.crt", KEY_BUNDLE])
def test_what_is_lost_or_broken_is_made_again(key):
    first = decide({}, DNS, BEGIN)
    for wrong in (b"", b"no certificate"):
        if key == KEY_BUNDLE and wrong:
            continue
        mended = decide(first | {key: wrong}, DNS, BEGIN)
        assert trusted(mended, mended["tls.crt"])


def test_another_service_name_gets_another_leaf():
    first = decide({}, DNS, BEGIN)
    assert decide(first, ["other.ns.svc"], BEGIN)["tls.crt"] != first["tls.crt"]


async def test_the_full_name_of_the_webhook_ends_with_the_domain_of_the_cluster():
    written: dict[str, Any] = {}

    class Client(KubeClient):
        async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
            if method == "GET":
                raise errors.NotFound(404, "NotFound", path)
            written.update(body["data"])
            return body

    environment = {"PGWARDEN_IMAGE": "i", "PGWARDEN_CLUSTER_DOMAIN": "example.internal", "PGWARDEN_NAMESPACE": "ns"}
    client, agents = Client(Access("http://fake", None)), Any
    settings = Settings.from_environment(environment)
    context = Context(client, Caches(client), agents, Recorder(client, "c"), settings, clock=lambda: BEGIN)  # type: ignore[arg-type]
    await module.reconcile(context)
    leaf = x509.load_pem_x509_certificate(base64.b64decode(written["tls.crt"]))
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    service = "pgwarden-webhook.ns.svc"
    assert found.get_values_for_type(x509.DNSName) == [service, f"{service}.example.internal"]


def test_over_ten_years_each_leaf_is_trusted_by_the_bundle_before_and_after_it():
    content, now, authorities = decide({}, DNS, BEGIN), BEGIN, set()
    while now < BEGIN + timedelta(days=certificates.CA_DAYS + 200):
        now += timedelta(days=7)
        after = decide(content, DNS, now)
        assert trusted(after, content["tls.crt"]), "replicas that serve the old leaf are no longer trusted"
        assert trusted(after, after["tls.crt"])
        assert certificates.expires(after["tls.crt"]) > now + timedelta(days=7)
        assert len(bundle(after)) <= 2
        authorities.add(after["ca.crt"])
        content = after
    assert len(authorities) == 2
    assert len(bundle(content)) == 1, "the old authority is still trusted after the next renewal"


def test_the_longest_service_and_namespace_get_a_certificate_with_their_whole_names():
    service = f"{'r' * 40}-webhook.{'n' * 63}.svc"
    dns = [service, f"{service}.cluster.local"]
    first = decide({}, dns, BEGIN)
    leaf = x509.load_pem_x509_certificate(first["tls.crt"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == dns
    assert decide(first, dns, BEGIN + timedelta(days=59)) == first
    another = [name.replace(".svc", "x.svc") for name in dns]  # that begins alike
    assert decide(first, another, BEGIN)["tls.crt"] != first["tls.crt"]


def rsa_authority() -> dict[str, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"ca.crt": decide({}, DNS, BEGIN)["ca.crt"], "ca.key": pem}


AUTHORITIES = {
    "no PEM": {"ca.crt": b"x", "ca.key": b"x"},
    "of a kind that we do not sign with": rsa_authority(),
    "with the key of another": {"ca.crt": decide({}, DNS, BEGIN)["ca.crt"], "ca.key": decide({}, DNS, BEGIN)["ca.key"]},
}


@pytest.mark.parametrize("held", AUTHORITIES.values(), ids=AUTHORITIES)
def test_an_authority_that_cannot_sign_is_replaced(held):
    made = decide(held, DNS, BEGIN)
    assert certificates.still_good(
        Pair(made["tls.crt"], made["tls.key"]), Pair(made["ca.crt"], b""), DNS[0], DNS, BEGIN
    )


async def test_whatever_goes_wrong_it_is_tried_again_after_a_growing_pause(monkeypatch):
    """`keep` is a task of the leader beside all others."""
    failures = [ValueError("Attribute's length must be >= 1 and <= 64"), KeyError("data"), errors.ApiError(500, "", "")]
    pauses: list[float] = []
    done = asyncio.Event()

    async def reconcile(_context):
        if failures:
            raise failures.pop()
        done.set()

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr(module, "reconcile", reconcile)
    monkeypatch.setattr(module, "PERIOD", 0.01)
    monkeypatch.setattr(module, "_configurations", lambda _: ())
    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    with structlog.testing.capture_logs():
        task = asyncio.create_task(module.keep(SimpleNamespace(client=None)))
        await asyncio.wait_for(done.wait(), 10 * SLOWER)
    assert not task.done()
    task.cancel()
    assert pauses == [1, 2, 4]


async def test_somebody_who_writes_another_bundle_each_time_is_answered_less_and_less_often():
    now, written = BEGIN, 0
    tries: Tries[str] = Tries(PACE)
    tries.tried("", now)
    assert pause(tries, now) == 0.0  # what a `helm upgrade` takes away is back at once
    while now < BEGIN + timedelta(hours=6):
        now += timedelta(seconds=0.1 + pause(tries, now))
        tries.tried("", now)
        written += 1
    assert 300 < written < 380
