"""What pgBackRest says when it cannot use a storage → (reason, sentence for people); and what must not be shown of it.

pgBackRest prints the whole HTTP exchange of a refused request. A reader needs its one relevant line, and what to do.
Some services repeat the access key and the signed request in their answer, which must not be logged.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

import msgspec

from pgwarden.api import outside

#: Elements of an S3 error document that repeat the access key or what was signed with it.
_TELLTALE = re.compile(
    r"<(AWSAccessKeyId|StringToSign|StringToSignBytes|SignatureProvided|CanonicalRequest|CanonicalRequestBytes|"
    r"Token-0)>.*?</\1>",
    re.DOTALL,
)
_CREDENTIAL = re.compile(r"(Credential=)[^/\s,&]+", re.IGNORECASE)
_REPO = re.compile(r"^ *repo(\d+): ", re.MULTILINE)
_ERRNO = re.compile(r"\[[\d:]+\] ")
#: `[HostConnectError] …` of info, `ERROR: [124]: …` of a log.
_PREFIX = re.compile(r"^(?:.*?\b(?:ERROR|ASSERT): \[\d{3}\]: |(?:\[\w+Error\] ))")
#: What errors add about their repetitions: `on 8 retries from 109-8001ms: …`.
_RETRIES = re.compile(r"\s+\[\w+Error\] on (?:retry|\d+ retries) .*", re.DOTALL)
#: Advice of pgBackRest for another set-up than ours, each on a line of its own.
_HINTS = re.compile(r"\s*\bHINT: [^\n]*")
_LATE = re.compile(r"timeout after \d+ms waiting for|unexpected eof|takes longer than|no result within", re.IGNORECASE)
LONGEST = 600


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The storage that the text speaks of; what is empty is worded without its name."""

    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    secret: str = ""  # the Secret with the S3 keys

    @property
    def service(self) -> str:
        return self.endpoint or "the S3 service"


class Trouble(msgspec.Struct, frozen=True):
    """*reason* is for programs, *sentence* for people: what is wrong and the way out."""

    reason: str
    sentence: str


def redact(text: str) -> str:
    """*text* without access keys and signed requests, for logs and answers."""
    return _CREDENTIAL.sub(r"\1<redacted>", _TELLTALE.sub(r"<\1><redacted></\1>", text))


def by_repo(text: str) -> list[tuple[int, str]]:
    """archive-push's and archive-get's errors, parted by pgBackRest's number of the storage; 0: of none of them."""
    parts = _REPO.split(text)
    if len(parts) == 1:
        return [(0, text)]
    found = [(int(number), said.strip()) for number, said in zip(parts[1::2], parts[2::2], strict=True)]
    return list(dict.fromkeys(found))


def explain(text: str, place: Place | None = None) -> Trouble:
    """The first rule that knows *text*; what no rule knows is shortened and shown as it is."""
    where, text = place or Place(), outside.printable(text)
    code, message = _s3_answer(text)
    for found in (_answered(code, message, where), _http(text, code, message, where), *_said(text, where)):
        if found is not None:
            return found
    return Trouble("StorageNotReadable", _brief(text))


# --- what the S3 service answered --------------------------------------------------------------------------------


def _s3_answer(text: str) -> tuple[str, str]:
    """Code and message of the error document; ("", "") where there is none."""
    code = re.search(r"<Code>([^<]*)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    return (_printable(code[1]) if code else "", _printable(html.unescape(message[1]))[:300] if message else "")


def _bucket(where: Place) -> str:
    return f"bucket {where.bucket}" if where.bucket else "the bucket"


def _in_secret(key: str, where: Place) -> str:
    return f"correct {key} in Secret {where.secret}" if where.secret else f"correct {key}"


def _region(message: str, where: Place) -> str:
    named = re.findall(r"[\"']([a-z0-9-]+)[\"']", message)
    wrong, right = (named[0], named[1]) if len(named) > 1 else (where.region, named[0] if named else "")
    return f"region {wrong or 'given'} is wrong" + (f", it is {right}" if right else "") + "; correct spec.s3.region"


_BAD_KEY = "BadKey"
#: S3 error code → (reason, sentence). XAdminUserNotFound is versitygw's.
_ANSWERS: dict[str, tuple[str, Callable[[str, Place], str]]] = {
    "NoSuchBucket": (
        "NoSuchBucket",
        lambda _, w: f"{_bucket(w)} does not exist at {w.service}; create it, or correct spec.s3.bucket",
    ),
    "InvalidBucketName": (
        "NoSuchBucket",
        lambda _, w: f"{w.service} does not accept {_bucket(w)}: the name is invalid; correct spec.s3.bucket",
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "XAdminUserNotFound", "InvalidClientTokenId"),
        (_BAD_KEY, lambda _, w: f"{w.service} does not know the access key; {_in_secret('s3-key', w)}"),
    ),
    "SignatureDoesNotMatch": (
        _BAD_KEY,
        lambda _, w: f"the secret key does not belong to the access key; {_in_secret('s3-key-secret', w)}",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidIdentityToken"),
        (_BAD_KEY, lambda _, w: f"{w.service} refuses the temporary credentials; check spec.s3.keyType"),
    ),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem"),
        (
            "AccessDenied",
            lambda _, w: (
                f"the key has no access to {_bucket(w)}; allow it to list it, and to get, put and delete objects"
            ),
        ),
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"),
        ("WrongRegion", _region),
    ),
    "RequestTimeTooSkewed": (
        "ClockSkew",
        lambda _, w: (
            f"the clocks of the node and of {w.service} differ by more than 15 minutes; correct the node's clock"
        ),
    ),
}


def _answered(code: str, message: str, where: Place) -> Trouble | None:
    if code not in _ANSWERS:
        return None
    reason, sentence = _ANSWERS[code]
    said = f" (the server says: {message})" if message else ""
    return Trouble(reason, sentence(message, where) + said)


def _http(text: str, code: str, message: str, where: Place) -> Trouble | None:
    """An answer that is not known by its code, by its HTTP status."""
    found = re.search(r"HTTP request failed with (\d{3})(?: \(([^)]*)\))?|\[(5\d\d)\] ([A-Za-z ]+)", text)
    if found is None:
        return None
    status, words = found[1] or found[3], found[2] or found[4] or ""
    said = f"{code}: {message}" if code and message else code or words.strip()
    reason = {"401": "AccessDenied", "403": "AccessDenied", "301": "WrongRegion", "307": "WrongRegion"}.get(
        status, "ServiceError"
    )
    return Trouble(reason, f"{where.service} answered {status} {said}".rstrip())


# --- what came before any answer ---------------------------------------------------------------------------------


def _said(text: str, where: Place) -> Iterator[Trouble | None]:
    yield _credentials(text)
    yield _certificate(text, where)
    yield _connection(text, where)
    yield _passphrase(text)
    yield _no_stanza(text)


def _certificate(text: str, where: Place) -> Trouble | None:
    presented = re.search(r"unable to verify certificate presented by '([^' ]+)[^']*': (?:\[\d+\] )?([^\n\[]+)", text)
    if presented:
        why = presented[2].strip()
        out = "have it renewed" if "expired" in why else "give the CA that signed it in spec.s3.caSecretRef"
        return Trouble("BadCertificate", f"the certificate of {presented[1]} is not trusted: {why}; {out}")
    named = re.search(r"unable to find hostname '([^']+)' in certificate", text)
    if named:
        way_out = "uriStyle host puts the bucket into the name; set spec.s3.uriStyle to path"
        return Trouble("BadCertificate", f"the certificate is not for the name {named[1]}; {way_out}")
    if "CA certificate" in text:
        return Trouble("BadCertificate", "the CA in spec.s3.caSecretRef cannot be read: it must be a PEM certificate")
    if "TLS error" in text or "unable to negotiate TLS" in text:
        return Trouble("BadCertificate", f"{where.service} does not speak TLS there: {_brief(text)}")
    return None


def _connection(text: str, where: Place) -> Trouble | None:
    address = re.search(r"unable to get address for '([^']+)': (?:\[-?\d+\] )?([^\n\[]+)", text)
    if address:
        sentence = f"the name {address[1]} cannot be resolved ({address[2].strip()}); correct spec.s3.endpoint"
        if where.bucket and address[1].startswith(f"{where.bucket}."):
            sentence += ", or set spec.s3.uriStyle to path (MinIO, Ceph and most services other than AWS)"
        return Trouble("CannotConnect", sentence)
    refused = re.search(r"unable to connect to '([^' ]+)[^']*': (?:\[\d+\] )?([^\n\[]+)", text)
    if refused:
        return Trouble("CannotConnect", f"cannot connect to {refused[1]}: {refused[2].strip()}")
    waited = re.search(r"timeout connecting to '([^' ]+)", text)
    if waited:
        return Trouble("CannotConnect", f"cannot connect to {waited[1]}: no response in time")
    if _LATE.search(text):
        return Trouble("CannotConnect", f"no response in time: {_brief(text)}")
    return None


def _credentials(text: str) -> Trouble | None:
    if "AWS_WEB_IDENTITY_TOKEN_FILE" in text:
        way_out = "set spec.s3.roleARN, or let the cloud's webhook give the service account a role"
        return Trouble("NoCredentials", f"keyType web-id finds no role and token in the pod; {way_out}")
    if "169.254.169.254" in text or "temporary credentials" in text:
        return Trouble(
            "NoCredentials", f"keyType auto gets no credentials from the instance's metadata service: {_brief(text)}"
        )
    return None


def _passphrase(text: str) -> Trouble | None:
    if re.search(r"cipher header invalid|bad decrypt|is or was the repo encrypted|found outside of section", text):
        sentence = "the stored data cannot be decrypted: it was written with another passphrase, or with none"
        return Trouble("WrongPassphrase", f"{sentence}; correct the Secret in spec.encryption.secretRef")
    return None


def _no_stanza(text: str) -> Trouble | None:
    if "FileMissingError" in text and re.search(r"unable to load info file '[^']*(?:archive|backup)\.info'", text):
        return Trouble(
            "StorageNotReadable", "the stanza does not exist there yet; it is created once a primary responds"
        )
    return None


def _brief(text: str) -> str:
    """One line, without class names, error numbers, repetitions, hints and HTTP dump."""
    head = _RETRIES.sub("", redact(text)).partition("*** Path/Query ***")[0]
    head = _HINTS.sub("", head)
    one_line = _printable(_ERRNO.sub("", _PREFIX.sub("", head))).rstrip(":")
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 1] + "…"


def _printable(text: str) -> str:
    """*text* on one line, each other character a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
