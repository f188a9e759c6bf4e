"""An authority is succeeded in time, and at no moment meets anybody a certificate that they cannot verify."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from controller import certificates, succession
from controller.certificates import CA_DAYS, Pair
from controller.succession import JOINS, LATE, LEAST, NOTICE, STAYS, Authority

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = NOW + timedelta(days=CA_DAYS)
OLD = Authority(certificates.new_ca("old", NOW))


def at(left: timedelta, found: Authority = OLD, *, all_have_it: bool = True) -> Authority:
    return succession.advance(found, "new", END - left, all_have_it=all_have_it)


def begun(left: timedelta) -> Authority:
    """With a successor that was made when so much of OLD was left."""
    found = at(left)
    assert found.next is not None
    return found


def test_it_is_left_as_it_is_until_its_last_year():
    assert at(JOINS + DAY) == OLD
    found = begun(JOINS)
    assert found.signs == OLD.signs
    assert found.bundle == OLD.signs.cert + found.next.cert  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("after", "left", "all_have_it", "signs"),
    [
        pytest.param(NOTICE - DAY, JOINS, True, False, id="those who copy by hand have a month"),
        pytest.param(NOTICE, JOINS, True, True, id="all have it"),
        pytest.param(NOTICE, JOINS, False, False, id="one does not"),
        pytest.param(JOINS - LATE - DAY, JOINS, False, False, id="one does not, for months"),
        pytest.param(JOINS - LATE, JOINS, False, True, id="it cannot be waited for any longer"),
        pytest.param(timedelta(hours=1), LATE, True, False, id="begun late: whoever lives gets the bundle first"),
        pytest.param(LEAST, LATE, False, True, id="begun late"),
        pytest.param(timedelta(0), timedelta(0), False, True, id="it is over: nobody believes it any more"),
    ],
)
def test_the_successor_signs_once_all_who_believe_have_it(
    after: timedelta, left: timedelta, all_have_it: bool, signs: bool
):
    found = begun(left)
    later = at(left - after, found, all_have_it=all_have_it)
    assert (later.signs == found.next) is signs
    assert later.bundle.count(b"BEGIN CERTIFICATE") == 2
    assert OLD.signs.cert in later.bundle


def test_the_old_one_leaves_when_its_last_certificate_is_over():
    left = JOINS - NOTICE
    signs = at(left, begun(JOINS))
    assert signs.until == END - left + STAYS
    last = certificates.issue(OLD.signs, "a", ["a"], END - left)
    assert certificates.expires(last.cert) < signs.until
    assert at(left - STAYS + DAY, signs) == signs
    assert at(left - STAYS, signs) == Authority(signs.signs)


def test_its_secret_says_all_of_it():
    for found in (OLD, begun(JOINS), at(JOINS - NOTICE, begun(JOINS))):
        assert succession.read(found.data()) == found
        assert set(found.data()) == set(OLD.data()), "what is left out stays in the Secret where another wrote it too"


@pytest.mark.parametrize(
    "data",
    [
        {"next-ca.crt": b"x", "next-ca.key": b"y"},
        {"next-ca.crt": OLD.signs.cert, "next-ca.key": certificates.new_ca("other", NOW).key},
        {"next-ca.crt": OLD.signs.cert, "next-ca.key": OLD.signs.key},
        {"previous-ca.crt": OLD.signs.cert},
        {"previous-ca.crt": OLD.signs.cert, "previous-ca.until": b"\xff"},
        {"previous-ca.crt": b"x", "previous-ca.until": b"2036-01-01T00:00:00Z"},
    ],
)
def test_what_cannot_be_read_is_none(data: dict[str, bytes]):
    found = succession.read(OLD.data() | data)
    assert found is not None
    assert (found.signs, found.next, found.bundle) == (OLD.signs, None, OLD.signs.cert)


def test_one_that_cannot_sign_is_none():
    assert succession.read({}) is None
    assert succession.read(OLD.data() | {"ca.key": b"x"}) is None


@dataclasses.dataclass
class Instance:
    """What it shows, and whom it believes: as they were when it was last given them."""

    lag: timedelta
    leaf: Pair = OLD.signs
    bundle: bytes = b""

    def believes(self, leaf: Pair, now: datetime) -> bool:
        cert = x509.load_pem_x509_certificate(leaf.cert)
        if not cert.not_valid_before_utc <= now < cert.not_valid_after_utc:
            return False
        for one in x509.load_pem_x509_certificates(self.bundle):
            if now < one.not_valid_after_utc and _issued(cert, one):
                return True
        return False


def _issued(cert: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(by)
    except Exception:  # noqa: BLE001  not by that one
        return False
    return True


def test_for_thirty_years_all_verify_each_other_though_what_they_are_given_comes_late():
    now, authority, leaf = NOW, OLD, certificates.issue(OLD.signs, "a", ["a"], NOW)
    instances = [Instance(timedelta(0)), Instance(DAY), Instance(20 * DAY)]
    given: list[tuple[datetime, Pair, bytes]] = []
    signers = {OLD.signs.cert}
    while now < NOW + timedelta(days=30 * 365):
        authority = succession.advance(authority, "a", now, all_have_it=True)
        signers.add(authority.signs.cert)
        if not certificates.still_good(leaf, authority.signs, "a", ["a"], now):
            leaf = certificates.issue(authority.signs, "a", ["a"], now)
        given.append((now, leaf, authority.bundle))
        for one in instances:
            _, one.leaf, one.bundle = next(found for found in reversed(given) if found[0] <= max(NOW, now - one.lag))
        for mine in instances:
            assert all(mine.believes(other.leaf, now) for other in instances), now
        now += 5 * DAY
    assert len(signers) == 4
