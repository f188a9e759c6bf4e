"""What pgBackRest says when it cannot use a storage → (reason, sentence for people); and what must not be shown of it.

pgBackRest prints the whole HTTP exchange of a refused request. A reader needs its one relevant line, and what to do.
Some services repeat the access key and the signed request in their answer, which must not be logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from pgwarden.api import outside

#: Elements of an S3 error document that repeat the access key or what was signed with it.
_TELLTALE = re.compile(
    r"<(AWSAccessKeyId|StringToSign|StringToSignBytes|SignatureProvided|CanonicalRequest|CanonicalRequestBytes|Token-0)>"
)
_CREDENTIAL = re.compile(r"(Credential=)[^/\s,&]+", re.IGNORECASE)
_REPO = re.compile(r"^ *repo(\d+): ", re.MULTILINE)
_ERRNO = re.compile(r"\[[\d:]+\] ")
#: `[HostConnectError] …` of info, `ERROR: [124]: …` of a log.
_PREFIX = re.compile(r"^(?:.*?\b(?:ERROR|ASSERT): \[\d{3}\]: |(?:\[\w+Error\] ))")
#: What errors add about their repetitions: `on 8 retries from 109-8001ms: …`.
_RETRIES = re.compile(r"(?<!\s)\s+\[\w+Error\] on (?:retry|\d+ retries) .*", re.DOTALL)
#: Advice of pgBackRest for another set-up than ours, each on a line of its own.
_HINTS = re.compile(r"(?<!\s)\s*\bHINT: [^\n]*")
_LATE = re.compile(r"timeout after \d+ms waiting for|unexpected eof|takes longer than|no result within", re.IGNORECASE)
LONGEST = 600
#: Characters that are looked at: a storage may answer, and pgBackRest repeat, any number.
MOST = 64 * 1024
_ASIDE = (
    "move both folders of the stanza (archive/STANZA and backup/STANZA) out of the way; pgwarden then creates the "
    "stanza and takes a full backup"
)
_HALF = "part of the stanza is lost: {}.info exists, {}.info does not; " + _ASIDE


class Trouble(msgspec.Struct, frozen=True):
    """*reason* is for programs, *sentence* for people: what is wrong and the way out."""

    reason: str
    sentence: str


class Service(Protocol):
    """The service behind a storage, for sentences about it."""

    @property
    def title(self) -> str:
        """Its endpoint, or what it is called where that is not known."""

    @property
    def field(self) -> str:
        """Where its settings are, such as spec.s3."""

    def document(self, text: str) -> tuple[str, str]:
        """Code and message of the error that it answered; ("", "") where there is none."""

    def answered(self, code: str, message: str) -> Trouble | None:
        """What a code of its own means; None where it is not known."""

    def unresolved(self, host: str) -> str:
        """What else may cure that *host* cannot be resolved, after the advice to correct the endpoint."""

    def credentials(self, text: str) -> Trouble | None:
        """What went wrong on the way to its credentials; None where it was not that."""


def redact(text: str) -> str:
    """*text* without access keys, signed requests and control characters, for logs and answers."""
    text = outside.printable(text)
    return _CREDENTIAL.sub(r"\1<redacted>", "".join(_without_telltales(text)))


def _without_telltales(text: str) -> Iterator[str]:
    """Each character is looked at once for each name: a storage may send a million of what opens an element."""
    at, open_ended = 0, set[str]()
    for found in _TELLTALE.finditer(text):
        name = found[1]
        if found.start() < at or name in open_ended:
            continue
        end = text.find(f"</{name}>", found.end())
        if end < 0:
            open_ended.add(name)
            continue
        yield f"{text[at : found.end()]}<redacted>"
        at = end
    yield text[at:]


def by_repo(text: str) -> list[tuple[int, str]]:
    """archive-push's and archive-get's errors, by pgBackRest's number of the storage; 0: of none of them.

    Of a storage that has several the first: the others follow from it, or repeat it.
    """
    parts = _REPO.split(text)
    if len(parts) == 1:
        return [(0, text)]
    found: dict[int, str] = {}
    for number, said in zip(parts[1::2], parts[2::2], strict=True):
        found.setdefault(int(number), said.strip())
    return list(found.items())


def explain(text: str, where: Service) -> Trouble:
    """The first rule that knows *text*, which is about *where*; what no rule knows is shortened and shown as it is.

    Where it is not known which storage it is about: storages.explain.
    """
    text = outside.printable(text.strip()[:MOST])
    code, message = where.document(text)
    for found in (where.answered(code, message), _http(text, code, message, where), *_said(text, where)):
        if found is not None:
            return found
    return Trouble("StorageNotReadable", brief(text))


# --- what the service answered ----------------------------------------------------------------------------------


def _http(text: str, code: str, message: str, where: Service) -> Trouble | None:
    """An answer that is not known by its code, by its HTTP status."""
    found = re.search(r"HTTP request failed with (\d{3})(?: \(([^)]*)\))?|\[(5\d\d)\] ([A-Za-z ]+)", text)
    if found is None:
        return None
    status, words = found[1] or found[3], found[2] or found[4] or ""
    said = f"{code}: {message}" if code and message else code or words.strip()
    reason = {"401": "AccessDenied", "403": "AccessDenied", "301": "WrongRegion", "307": "WrongRegion"}.get(
        status, "ServiceError"
    )
    return Trouble(reason, f"{where.title} answered {status} {said}".rstrip())


# --- what came before any answer ---------------------------------------------------------------------------------


def _said(text: str, where: Service) -> Iterator[Trouble | None]:
    yield _not_readable(text, where)
    yield where.credentials(text)
    yield _certificate(text, where)
    yield _connection(text, where)
    yield _passphrase(text)
    yield _half(text)
    yield _no_stanza(text)
    yield _volume(text)


def _not_readable(text: str, where: Service) -> Trouble | None:
    if "[MemoryError]" in text or re.search(r"unable to (?:re)?allocate \d+ bytes", text):
        return Trouble("ServiceError", f"{where.title} answers with more than pgBackRest has memory for")
    if "invalid xml in " in text:
        return Trouble("ServiceError", f"{where.title} answers with XML that cannot be read: is it an S3 service?")
    return None


def _certificate(text: str, where: Service) -> Trouble | None:
    presented = re.search(r"unable to verify certificate presented by '([^' ]+)[^']*': (?:\[\d+\] )?([^\n\[]+)", text)
    if presented:
        why = presented[2].strip()
        out = "have it renewed" if "expired" in why else f"give the CA that signed it in {where.field}.caSecretRef"
        return Trouble("BadCertificate", f"the certificate of {presented[1]} is not trusted: {why}; {out}")
    named = re.search(r"unable to find hostname '([^']+)' in certificate", text)
    if named:
        way_out = f"uriStyle host puts the bucket into the name; set {where.field}.uriStyle to path"
        return Trouble("BadCertificate", f"the certificate is not for the name {named[1]}; {way_out}")
    if "CA certificate" in text:
        return Trouble(
            "BadCertificate", f"the CA in {where.field}.caSecretRef cannot be read: it must be a PEM certificate"
        )
    if "TLS error" in text or "unable to negotiate TLS" in text:
        return Trouble("BadCertificate", f"{where.title} does not speak TLS there: {brief(text)}")
    return None


def _connection(text: str, where: Service) -> Trouble | None:
    address = re.search(r"unable to get address for '([^']+)': (?:\[-?\d+\] )?([^\n\[]+)", text)
    if address:
        sentence = f"the name {address[1]} cannot be resolved ({address[2].strip()}); correct {where.field}.endpoint"
        return Trouble("CannotConnect", sentence + where.unresolved(address[1]))
    refused = re.search(r"unable to connect to '([^' ]+)[^']*': (?:\[\d+\] )?([^\n\[]+)", text)
    if refused:
        return Trouble("CannotConnect", f"cannot connect to {refused[1]}: {refused[2].strip()}")
    waited = re.search(r"timeout connecting to '([^' ]+)", text)
    if waited:
        return Trouble("CannotConnect", f"cannot connect to {waited[1]}: no response in time")
    if _LATE.search(text):
        return Trouble("CannotConnect", f"no response in time: {brief(text)}")
    return None


def _passphrase(text: str) -> Trouble | None:
    if re.search(r"cipher header invalid|bad decrypt|is or was the repo encrypted|found outside of section", text):
        sentence = "the stored data cannot be decrypted: it was written with another passphrase, or with none"
        way = "correct the Secret in spec.encryption.secretRef; if nobody has changed it, the data was overwritten"
        return Trouble("WrongPassphrase", f"{sentence}; {way}")
    return None


def _no_stanza(text: str) -> Trouble | None:
    """Only if the file and its copy are both missing: a damaged or unreadable one is named as such."""
    missing = set(re.findall(r"\b[A-Z][A-Za-z]+Error\b", text)) == {"FileMissingError"}
    if missing and re.search(r"unable to load info file '[^']*(?:archive|backup)\.info'", text):
        return Trouble(
            "StorageNotReadable", "the stanza does not exist there yet; condition StanzaCreated says what it waits for"
        )
    return None


def _half(text: str) -> Trouble | None:
    """stanza-create, of a storage where pgwarden moves nothing by itself."""
    found = re.search(r"(archive|backup)\.info exists but (archive|backup)\.info is missing", text)
    if found is not None:
        return Trouble("RepositoryHalfLost", _HALF.format(found[1], found[2]))
    if "backup directory and/or archive directory not empty" in text:
        said = "archive.info and backup.info are missing, but their folders are not empty"
        return Trouble("RepositoryHalfLost", f"{said}; {_ASIDE}")
    return None


def lacks_archive(text: str) -> Trouble | None:
    """Of what `info` says of a storage: it has found backup.info before it misses archive.info."""
    if text.startswith("[FileMissingError]") and re.search(r"unable to load info file '[^']*archive\.info'", text):
        return Trouble("RepositoryHalfLost", _HALF.format("backup", "archive"))
    return None


def _volume(text: str) -> Trouble | None:
    if re.search(r"\[(28|122)\] (No space left|Disk quota)", text):
        return Trouble("RepositoryFull", "there is no room left; give it more, or delete backups that are not needed")
    if "[30] Read-only file system" in text:
        return Trouble("RepositoryReadOnly", "its file system is read-only; see the kernel log of its node")
    return None


def brief(text: str) -> str:
    """One line, without class names, error numbers, repetitions, hints and HTTP dump."""
    head = _RETRIES.sub("", redact(text.strip()[:MOST])).partition("*** Path/Query ***")[0]
    head = _HINTS.sub("", head)
    shortened = one_line(_ERRNO.sub("", _PREFIX.sub("", head))).rstrip(":")
    return shortened if len(shortened) <= LONGEST else shortened[: LONGEST - 1] + "…"


def one_line(text: str) -> str:
    """*text* on one line, each other character a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
