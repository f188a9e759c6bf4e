"""The webhook's certificate: made, trusted, repaired, renewed, and exchanged under load."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509

from controller import certificates
from controller.certificates import Pair
from harness.install import NAMESPACE, wait_admission
from harness.waiting import until
from pgwarden.kube import access, paths
from pgwarden.kube.client import KubeClient
from tests.apiserver.manifests import repository
from tests.apiserver.release import SECRET, Controllers, Release

DNS = ["pgwarden-webhook.pgwarden-system.svc", "pgwarden-webhook.pgwarden-system.svc.cluster.local"]
_SERVED = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 443)))"


@pytest.fixture(autouse=True)
def led(webhook, controllers: Controllers) -> None:
    controllers.leader()


def served(release: Release) -> int:
    """The serial number of the certificate that a new connection gets."""
    return x509.load_pem_x509_certificate(release.inside(sys.executable, "-c", _SERVED).stdout.encode()).serial_number


def write(release: Release, leaf: Pair) -> None:
    """A renewed leaf into the Secret, as the controller writes it."""
    data = {"tls.crt": leaf.cert, "tls.key": leaf.key}
    patch = {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
    release.kubectl.within(NAMESPACE).run("patch", "secret", SECRET, "--type=merge", "-p", json.dumps(patch))


def renewed(release: Release) -> Pair:
    secret = release.secret()
    return certificates.issue(Pair(secret["ca.crt"], secret["ca.key"]), DNS[0], DNS, datetime.now(UTC))


def test_the_secret_is_made_and_every_webhook_trusts_its_authority(release: Release):
    secret = release.secret()
    assert set(release.bundles()) == {base64.b64encode(secret["ca-bundle.crt"]).decode()}
    leaf = x509.load_pem_x509_certificate(secret["tls.crt"])
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(secret["ca.crt"]))
    assert (
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        == DNS
    )
    assert served(release) == leaf.serial_number


@pytest.mark.parametrize("kind", ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"])
def test_a_bundle_that_somebody_reverted_is_repaired(release: Release, kind: str):
    before = release.bundles()
    patch = json.dumps([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}])
    done = release.kubectl.run("patch", kind, "pgwarden", "--type=json", "-p", patch, "-o", "json")
    assert "caBundle" not in json.loads(done.stdout)["webhooks"][0]["clientConfig"]
    until(lambda: release.bundles() == before, "the caBundle is there again", 5)


def test_a_deleted_secret_is_made_again_and_admission_goes_on(release: Release, webhook):
    old = served(release)
    release.kubectl.within(NAMESPACE).delete("secret", SECRET)
    until(release.secret, "the Secret is there again", 20)
    until(lambda: served(release) != old, "the webhook serves the new one", 20)
    wait_admission(release.kubectl)


def test_a_secret_with_a_key_of_another_certificate_leaves_the_old_pair_in_place(release: Release, webhook):
    loaded, good = served(release), renewed(release)
    broken = Pair(good.cert, renewed(release).key)
    # The controller does not look at the key, so that it leaves this in place until we mend it.
    write(release, broken)
    until(lambda: "not usable" in webhook.program.log.read_text(), "the webhook says so", 10)
    assert served(release) == loaded
    wait_admission(release.kubectl, 5)
    write(release, good)
    serial = x509.load_pem_x509_certificate(good.cert).serial_number
    until(lambda: served(release) == serial, "the good pair is served", 10)


async def test_a_renewed_certificate_is_served_without_one_request_lost(release: Release, webhook):
    """Reviews without a pause while the certificate is exchanged five times."""
    done, failures = 0, list[str]()
    over = asyncio.Event()
    body = repository("probe") | {"metadata": {"name": "probe", "namespace": "default"}}

    async def ask(client: KubeClient) -> None:
        nonlocal done
        while not over.is_set():
            try:
                await client.request("POST", paths.of("repositories", "default"), body=body, params={"dryRun": "All"})
                done += 1
            except Exception as error:  # noqa: BLE001  whatever it is, it was a request lost
                failures.append(str(error))

    before = release.metric(webhook.program, "pgwarden_webhook_certificate_loads_total")
    async with KubeClient(await access.from_kubeconfig(str(release.cluster.kubeconfig))) as client:
        asking = [asyncio.create_task(ask(client)) for _ in range(4)]
        for _ in range(5):
            leaf, at = renewed(release), done
            await asyncio.to_thread(write, release, leaf)
            serial = x509.load_pem_x509_certificate(leaf.cert).serial_number
            await asyncio.to_thread(until, lambda s=serial: served(release) == s, "the new one is served", 10)
            await asyncio.to_thread(until, lambda at=at: done > at + 20, "reviews go on", 10)
        over.set()
        await asyncio.gather(*asking)
    assert failures == []
    assert release.metric(webhook.program, "pgwarden_webhook_certificate_loads_total") == before + 5
