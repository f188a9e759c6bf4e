"""The longest name of a release in the longest namespace: the controller leads, and the webhook has its certificate."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from harness.waiting import until
from tests.apiserver.release import Release

RELEASE = f"pgwarden-{'of-a-team-' * 4}x234"  # 53 characters: more Helm does not take
NAMESPACE = f"namespace-{'y' * 53}"  # 63


@pytest.fixture(scope="module")
def long(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Beside the other release, and without any pod; gone before another module needs admission."""
    folder: Path = tmp_path_factory.mktemp("long")
    made = Release(
        release.cluster,
        release.kubectl,
        release.helm,
        folder,
        name=RELEASE,
        fullname=RELEASE[:40].rstrip("-"),
        namespace=NAMESPACE,
        values=("--set=crds.enabled=false",),
    )
    try:
        made.install()
        yield made
    finally:
        made.stop_all()
        made.helm.run("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--no-hooks")


def test_the_longest_names_make_a_release_that_works(long: Release):
    assert (len(RELEASE), len(long.fullname), len(NAMESPACE)) == (53, 40, 63)
    controller = long.start("controller", "controller-long", 8099)
    long.wait_ready(controller)

    def certified() -> bool:
        assert controller.alive, controller.log.read_text()[-3000:]
        return "tls.crt" in long.secret()

    until(certified, "the webhook's certificate is there", 30, lambda: controller.log.read_text()[-3000:])
    leaf = x509.load_pem_x509_certificate(long.secret()["tls.crt"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    service = f"{long.fullname}-webhook.{NAMESPACE}.svc"
    assert names.get_values_for_type(x509.DNSName) == [service, f"{service}.cluster.local"]
    (common,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert len(common.value) <= 64
    assert set(long.bundles()) == {base64.b64encode(long.secret()["ca-bundle.crt"]).decode()}
    assert long.holder().startswith("controller-long-")
    assert controller.terminate() == 0
