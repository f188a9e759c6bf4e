"""SCRAM-SHA-256 as PostgreSQL keeps it in pg_authid (RFC 5802, RFC 7677): a password's verifier. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata

#: PostgreSQL's own default (`scram_iterations`).
ITERATIONS = 4096
_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9, stringprep.in_table_a1,
)  # fmt: skip


def verifier(password: str, salt: bytes) -> str:
    """The same password and salt always make the same one."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, ITERATIONS)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def prepared(password: str) -> str:
    """By SASLprep (RFC 4013), as libpq and PostgreSQL do it: where that refuses a password, it is taken as it is."""
    if password.isascii():
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    found = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not found or any(refuses(c) for c in found for refuses in _PROHIBITED) or not _is_one_way(found):
        return password
    return found


def _is_one_way(text: str) -> bool:
    """Not of both directions; and what is right-to-left begins and ends so."""
    right = [stringprep.in_table_d1(c) for c in text]
    return not any(right) or (right[0] and right[-1] and not any(stringprep.in_table_d2(c) for c in text))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
