"""A certificate authority is succeeded before its end, so that nobody meets a certificate whose authority it does not
know. Pure but for the random numbers; the clock is passed in.

1. `JOINS` before its end a successor is made. It joins the bundle of those that are believed, and signs nothing yet.
2. After `NOTICE`, once all who believe have that bundle, the successor signs: each certificate is issued anew by it.
   The old one stays in the bundle.
3. When the last certificate that it has signed is over, the old one leaves the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from controller import certificates
from controller.certificates import LEAF_DAYS, Pair
from controller.runtime import conditions
from pgwarden.api import names
from pgwarden.api.reading import moment

#: Who has copied the bundle by hand has NOTICE to do it again.
JOINS, NOTICE = timedelta(days=365), timedelta(days=30)
#: With less left, who does not have the bundle is not waited for, but for the time in which whoever lives gets it.
LATE, LEAST = timedelta(days=2 * LEAF_DAYS), timedelta(days=1)
#: After its successor has begun.
STAYS = timedelta(days=LEAF_DAYS + 1)
#: Keys of the authority's Secret, beside ca.crt and ca.key.
KEY_NEXT_CERT, KEY_NEXT_KEY = "next-ca.crt", "next-ca.key"
KEY_BEFORE_CERT, KEY_BEFORE_UNTIL = "previous-ca.crt", "previous-ca.until"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Authority:
    """*signs* issues certificates, *next* is to do so, *before* did: its certificate is believed *until* then."""

    signs: Pair
    next: Pair | None = None
    before: bytes = b""
    until: datetime | None = None

    @property
    def bundle(self) -> bytes:
        """All that are believed, the one that signs first."""
        more = [self.next.cert] if self.next else []
        return b"".join(_ended(one) for one in (self.signs.cert, *more, self.before) if one)

    def data(self) -> dict[str, bytes]:
        """Of its Secret. Empty what there is not: a key that somebody else has written too would stay as it was."""
        later, until = self.next or Pair(b"", b""), conditions.timestamp(self.until) if self.until else ""
        return {
            names.KEY_CA_CERT: self.signs.cert,
            names.KEY_CA_KEY: self.signs.key,
            KEY_NEXT_CERT: later.cert,
            KEY_NEXT_KEY: later.key,
            KEY_BEFORE_CERT: self.before,
            KEY_BEFORE_UNTIL: until.encode(),
        }


def read(data: Mapping[str, bytes]) -> Authority | None:
    """None where it cannot sign. A successor, or an old one, that cannot be read is none."""
    signs = Pair(data.get(names.KEY_CA_CERT, b""), data.get(names.KEY_CA_KEY, b""))
    if not certificates.authority_good(signs, _NEVER):  # its age is no reason to stop
        return None
    later = Pair(data.get(KEY_NEXT_CERT, b""), data.get(KEY_NEXT_KEY, b""))
    until = moment(data.get(KEY_BEFORE_UNTIL, b"").decode("ascii", "replace"))
    before = data.get(KEY_BEFORE_CERT, b"") if until is not None else b""
    known = certificates.is_certificate(before)
    return Authority(
        signs,
        later if later.cert != signs.cert and certificates.authority_good(later, _NEVER) else None,
        before if known else b"",
        until if known else None,
    )


def believed(data: Mapping[str, bytes]) -> bytes:
    """The bundle of an authority's Secret. KeyError where there is no authority in it."""
    found = read(data)
    return found.bundle if found else data[names.KEY_CA_CERT]


def advance(found: Authority, name: str, now: datetime, *, all_have_it: bool) -> Authority:
    """What it is from now on. *all_have_it*: whether all who believe are known to have the bundle of *found*."""
    left = certificates.expires(found.signs.cert) - now
    if found.before and found.until is not None and now >= found.until:
        found = replace(found, before=b"", until=None)
    if found.next is None:
        return found if left > JOINS else replace(found, next=certificates.new_ca(name, now))
    told = now - certificates.begins(found.next.cert)
    in_time = told >= NOTICE and all_have_it
    too_late = told >= LEAST and left <= LATE
    if not (in_time or too_late or left <= timedelta()):
        return found
    return Authority(found.next, before=found.signs.cert, until=now + STAYS)


def _ended(pem: bytes) -> bytes:
    return pem.rstrip() + b"\n"
