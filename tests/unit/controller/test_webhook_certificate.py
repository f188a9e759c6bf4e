"""The webhook's certificate over ten years of the clock: renewed in time, and trusted at each moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pgwarden.controller import certificates
from pgwarden.controller.runtime.pace import Tries
from pgwarden.controller.webhook_certificate import KEY_BUNDLE, PACE, decide, pause

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
