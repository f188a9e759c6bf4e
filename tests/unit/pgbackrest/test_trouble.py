"""pgBackRest's own texts, collected from 2.60 against versitygw and small TLS servers, and what a user reads of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from pgwarden.pgbackrest.trouble import LONGEST, by_repo, lacks_archive, redact
from pgwarden.storages import explain
from pgwarden.storages.s3 import S3Service

TEXTS = json.loads((Path(__file__).parent / "data" / "trouble-2.60.json").read_text("utf-8"))
AT = "s3.pgwarden-s3.svc.cluster.local:7070"
PLACE = S3Service(endpoint=AT, bucket="backups", region="eu-central-1", secret="keys")
SENTENCES = [
    ("nobucket", "NoSuchBucket", f"bucket backups does not exist at {AT}; create it, or correct spec.s3.bucket (the server says: The specified bucket does not exist.)"),
    ("badkey", "BadKey", f"{AT} does not know the access key; correct s3-key in Secret keys (the server says: No user exists with the provided access key ID.)"),
    ("badsecret", "BadKey", "the secret key does not belong to the access key; correct s3-key-secret in Secret keys (the server says: The request signature we calculated does not match the signature you provided. Check your key and signing method.)"),
    ("region", "WrongRegion", 'region eu-central-1 is wrong, it is us-east-1; correct spec.s3.region (the server says: The authorization header is malformed; the region "eu-central-1" is wrong; expecting "us-east-1")'),
    ("badca", "BadCertificate", f"the certificate of {AT} is not trusted: unable to get local issuer certificate; give the CA that signed it in spec.s3.caSecretRef"),
    ("nosuchca", "BadCertificate", "the CA in spec.s3.caSecretRef cannot be read: it must be a PEM certificate"),
    ("expired", "BadCertificate", "the certificate of localhost:9001 is not trusted: certificate has expired; have it renewed"),
    ("mismatch", "BadCertificate", "the certificate is not for the name localhost; uriStyle host puts the bucket into the name; set spec.s3.uriStyle to path"),
    ("plainhttp", "BadCertificate", f"{AT} does not speak TLS there: TLS error wrong version number"),
    ("down", "CannotConnect", f"cannot connect to {AT}: Connection refused"),
    ("port", "CannotConnect", "cannot connect to s3.pgwarden-s3.svc.cluster.local:7071: No route to host"),
    ("dns", "CannotConnect", "the name nohost.pgwarden-s3.svc.cluster.local cannot be resolved (Name or service not known); correct spec.s3.endpoint"),
    ("hoststyle", "CannotConnect", "the name scratch.s3.pgwarden-s3.svc.cluster.local cannot be resolved (Name or service not known); correct spec.s3.endpoint"),
    ("blackhole", "CannotConnect", "cannot connect to 192.0.2.1:443: Network is unreachable"),
    ("hang", "CannotConnect", "no response in time: timeout after 8000ms waiting for read from 'localhost:9005'"),
    ("slowdown", "ServiceError", f"{AT} answered 503 Service Unavailable"),
    ("webid", "NoCredentials", "keyType web-id finds no role and token in the pod; set spec.s3.roleARN, or let the cloud's webhook give the service account a role"),
    ("auto", "NoCredentials", "keyType auto gets no credentials from the instance's metadata service: unable to connect to '169.254.169.254:80': Network is unreachable"),
    ("passphrase", "WrongPassphrase", "the stored data cannot be decrypted: it was written with another passphrase, or with none; correct the Secret in spec.encryption.secretRef; if nobody has changed it, the data was overwritten"),
    ("encrypted, none given", "WrongPassphrase", "the stored data cannot be decrypted: it was written with another passphrase, or with none; correct the Secret in spec.encryption.secretRef; if nobody has changed it, the data was overwritten"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reason", "sentence"), SENTENCES, ids=[row[0] for row in SENTENCES])
def test_each_trouble_has_its_reason_and_its_sentence(name, reason, sentence):
    found = explain(TEXTS[name], PLACE)
    assert (found.reason, found.sentence) == (reason, sentence)


def test_a_host_name_that_begins_with_the_bucket_is_cured_by_the_uri_style():
    found = explain(TEXTS["hoststyle"], msgspec.structs.replace(PLACE, bucket="scratch"))
    assert found.sentence.endswith(
        "correct spec.s3.endpoint, or set spec.s3.uriStyle to path (MinIO, Ceph and most services other than AWS)"
    )


NO_STANZA = (
    "[FileMissingError] unable to load info file '/r/archive/hippo/archive.info' or '/r/archive/hippo/archive.info.copy':\n"
    "FileMissingError: unable to open missing file '/r/archive/hippo/archive.info' for read\n"
    "HINT: archive.info cannot be opened but is required to push/get WAL segments.\n"
    "HINT: has a stanza-create been performed?"
)


def test_a_storage_without_a_stanza_is_one_short_sentence():
    assert (
        explain(NO_STANZA).sentence
        == "the stanza does not exist there yet; condition StanzaCreated says what it waits for"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ChecksumError: invalid checksum, actual 'a1' but expected 'b2'", "invalid checksum"),
        ("FormatError: expected format 5 but found 6", "expected format 5 but found 6"),
        ("FileOpenError: unable to open file '/r/archive/hippo/archive.info' for read: [13] Permission denied", "Permission denied"),
    ],
    ids=["damaged", "of another version", "not readable"],
)  # fmt: skip
def test_a_stanza_whose_info_file_is_there_and_bad_is_not_said_to_be_missing(error, said):
    found = explain(
        "unable to load info file '/r/archive/hippo/archive.info' or '/r/archive/hippo/archive.info.copy':\n"
        f"{error}\n"
        "FileMissingError: unable to open missing file '/r/archive/hippo/archive.info.copy' for read"
    )
    assert said in found.sentence
    assert "does not exist there yet" not in found.sentence


def test_no_hint_of_pgbackrest_is_shown():
    text = "[FileOpenError] unable to open '/x'\nHINT: is archive_command configured correctly in postgresql.conf?"
    assert explain(text).sentence == "unable to open '/x'"


def test_every_collected_text_is_in_the_table():
    assert {row[0] for row in SENTENCES} == set(TEXTS)


@pytest.mark.parametrize("name", list(TEXTS))
def test_the_sentence_stands_without_a_place_too(name):
    found = explain(TEXTS[name])
    assert found.reason == explain(TEXTS[name], PLACE).reason
    assert "***" not in found.sentence
    assert "Secret keys" not in found.sentence


ANSWERS = [
    ("AccessDenied", "Access Denied", "403 (Forbidden)", "AccessDenied"),
    ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", "403 (Forbidden)", "BadKey"),
    ("PermanentRedirect", "The bucket must be addressed using the specified endpoint.", "301 (Moved Permanently)", "WrongRegion"),
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "403 (Forbidden)", "ClockSkew"),
    ("ExpiredToken", "The provided token has expired.", "400 (Bad Request)", "BadKey"),
    ("Unheard", "of", "418 (Teapot)", "ServiceError"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "status", "reason"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answers_of_other_services_are_known_by_their_code(code, said, status, reason):
    text = f"[ProtocolError] HTTP request failed with {status}:\n*** Response Content ***:\n<Error><Code>{code}</Code><Message>{said}</Message></Error>"
    found = explain(text, PLACE)
    assert found.reason == reason
    assert said in found.sentence


def test_what_nobody_knows_is_shown_on_one_line_and_not_too_long():
    found = explain("[FileOpenError] unable to open '/pgwarden/repo/x':\n [13] Permission denied\n" + "x" * 2000)
    assert found.reason == "StorageNotReadable"
    assert found.sentence.startswith("unable to open '/pgwarden/repo/x': Permission denied xxx")
    assert len(found.sentence) == 600


def test_an_access_key_and_what_was_signed_are_redacted():
    assert "AKIAEXAMPLEACCESSKEY" in TEXTS["badsecret"]
    shown = redact(TEXTS["badsecret"])
    for secret in ("AKIAEXAMPLEACCESSKEY", "AWS4-HMAC-SHA256&#xA;", "41 57 53 34", "ede09db799"):
        assert secret in TEXTS["badsecret"]
        assert secret not in shown
    assert "<Code>SignatureDoesNotMatch</Code>" in shown
    assert redact("authorization: AWS4 Credential=AKIA123/2026/x") == "authorization: AWS4 Credential=<redacted>/2026/x"


def test_no_sentence_holds_an_access_key():
    assert not any("AKIAEXAMPLE" in explain(text, PLACE).sentence for text in TEXTS.values())


def test_the_errors_of_archive_push_are_parted_by_storage():
    text = f"unable to find a valid repository:\nrepo1: [HostConnectError] unable to connect to 'a:1': [111] Connection refused\nrepo2: {TEXTS['down']}"
    assert by_repo(text) == [
        (1, "[HostConnectError] unable to connect to 'a:1': [111] Connection refused"),
        (2, TEXTS["down"]),
    ]
    assert by_repo("errors:\nrepo2: down\nrepo2: down\n") == [(2, "down")]
    assert by_repo("errors:\nrepo2: no archive.info\nrepo2: no archive.info.copy\n") == [(2, "no archive.info")]
    assert by_repo("WAL segment is not there") == [(0, "WAL segment is not there")]


STEERING = {
    "raw": "pwned\x1b]0;pwned\x07\x1b[2J\r\x9b",
    "as XML writes them": "pwned&#27;]0;pwned&#7;&#x1b;[2J&#13;&#155;",
    "on more than one line": "pwned\nERROR: [000]: all is well",
    "from right to left": "pwned&#8238;dlrow",
}


@pytest.mark.parametrize("message", STEERING.values(), ids=STEERING)
@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SomethingNew", ""])
def test_what_an_s3_service_says_steers_no_terminal(message, code):
    text = f"HTTP request failed with 403 (Forbidden):\n<Code>{code}</Code><Message>{message}</Message>"
    found = explain(text)
    assert found.sentence.isprintable()


@pytest.mark.parametrize(
    ("text", "reason", "sentence"),
    [
        (
            "ERROR: [055]: archive.info exists but backup.info is missing on repo2\nHINT: this may be a symptom of",
            "RepositoryHalfLost",
            "part of the stanza is lost: archive.info exists, backup.info does not; move both folders",
        ),
        (
            "ERROR: [055]: backup.info exists but archive.info is missing on repo2",
            "RepositoryHalfLost",
            "part of the stanza is lost: backup.info exists, archive.info does not; move both folders",
        ),
        (
            "ERROR: [040]: backup directory and/or archive directory not empty",
            "RepositoryHalfLost",
            "archive.info and backup.info are missing, but their folders are not empty; move both folders",
        ),
        (
            "[FileWriteError] unable to write '/pgwarden/repo/archive/hippo/17-1/x.tmp': [28] No space left on device",
            "RepositoryFull",
            "there is no room left",
        ),
        (
            "[FileOpenError] unable to open file '/pgwarden/repo/archive/hippo/x' for write: [30] Read-only file system",
            "RepositoryReadOnly",
            "its file system is read-only",
        ),
    ],
    ids=["no backup.info", "no archive.info", "neither", "full", "read-only"],
)
def test_what_a_storage_has_lost_is_told_as_what_it_is(text, reason, sentence):
    found = explain(text)
    assert found.reason == reason
    assert found.sentence.startswith(sentence)


def test_info_that_misses_archive_info_alone_has_found_backup_info():
    """archive-push says the same of a storage without a stanza: only of `info` it means half a stanza."""
    found = lacks_archive(NO_STANZA)
    assert found is not None
    assert found.reason == "RepositoryHalfLost"
    assert explain(NO_STANZA).reason == "StorageNotReadable"
    assert lacks_archive("[FormatError] unable to load info file '/r/archive/hippo/archive.info'") is None


LONG = {
    "elements that are opened": "<StringToSign>" * 200_000,
    "elements that are opened and closed": "<StringToSign>x</StringToSign>" * 100_000,
    "spaces": " " * 2_000_000 + "x",
    "line breaks": "\n" * 2_000_000 + "x",
    "hints": " HINT: " * 300_000,
    "retries": " [AError] on 8 retries " * 100_000,
    "errors": "ERROR: [124]: " * 200_000,
    "codes": "<Code>" * 300_000,
    "messages": "<Code>a</Code>" + "<Message>" * 300_000,
    "credentials": "Credential=a" * 200_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_an_answer_of_megabytes_is_told_at_once(text: str):
    """A store's answer comes to the agent's and the controller's event loop: 280 kB took 20 s, and 3 MB hours."""
    began = time.process_time()
    shown = explain(text).sentence
    redact(text)
    assert time.process_time() - began < 5
    assert len(shown) < 2 * LONGEST


def test_each_element_that_is_closed_is_redacted_beside_one_that_is_not():
    text = "<StringToSign>a</StringToSign><Token-0>b<StringToSign>c</StringToSign><AWSAccessKeyId>d</AWSAccessKeyId>"
    hidden = "<redacted>"
    assert redact(text) == (
        f"<StringToSign>{hidden}</StringToSign><Token-0>b<StringToSign>{hidden}</StringToSign>"
        f"<AWSAccessKeyId>{hidden}</AWSAccessKeyId>"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[MemoryError] unable to allocate 67108864 bytes", "with more than pgBackRest has memory for"),
        ("ERROR: [034]: unable to reallocate 134217728 bytes", "with more than pgBackRest has memory for"),
        (
            "[FormatError] invalid xml in 900021 byte(s):\n<?xml?><a><a>",
            "with XML that cannot be read: is it an S3 service?",
        ),
    ],
)
def test_what_is_too_much_or_no_answer_of_s3_is_told_as_that(text: str, said: str):
    found = explain(text, PLACE)
    assert (found.reason, found.sentence) == ("ServiceError", f"{PLACE.title} answers {said}")


def test_what_comes_after_many_spaces_is_told():
    assert explain(" " * 200_000 + "so it ends\n", PLACE).sentence == "so it ends"
