"""The condition Reachable in the server's own words, each trouble made for real; and the settings as pgBackRest gets them.

One Repository goes through all of it: that also shows that a change is looked at at once.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import pytest

from harness.kubectl import Kubectl, condition, is_true
from harness.s3 import ENDPOINT, Store, repository, secret_of
from harness.s3_steps import figure, says
from harness.waiting import until
from pgwarden.storages import explain
from pgwarden.storages.s3 import S3Service

SOON = 30  # seconds within which a change is in the condition


@pytest.fixture(scope="module")
def store(installed) -> Store:
    return Store(installed.cluster._own())


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.make_bucket(f"reach-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def reached(installed, space: Kubectl, store: Store, bucket: str) -> dict:
    key, _ = store.keys
    stranger, secret = store.make_account()
    space.apply(
        *store.secrets(),
        secret_of("unknown-key", {"s3-key": "NOBODY", "s3-key-secret": "whatever"}),
        secret_of("wrong-secret", {"s3-key": key, "s3-key-secret": "whatever"}),
        secret_of("no-rights", {"s3-key": stranger, "s3-key-secret": secret}),
        secret_of("another-ca", {"ca.crt": _another_ca()}),
        repository("s3", bucket),
    )
    return space.until("pgrepo", "hippo", is_true("Reachable"), "is reached", 90)


#: No two neighbours have the same words: what is seen is of this change, not of the one before.
TROUBLES = [
    pytest.param({"bucket": "no-such-bucket"}, "NoSuchBucket", "bucket no-such-bucket does not exist at", id="no bucket"),
    pytest.param({"credentialsSecretRef": {"name": "unknown-key"}}, "BadKey", "does not know the access key; correct s3-key in Secret unknown-key", id="unknown key"),
    pytest.param({"credentialsSecretRef": {"name": "wrong-secret"}}, "BadKey", "the secret key does not belong to the access key; correct s3-key-secret in Secret wrong-secret", id="wrong secret key"),
    pytest.param({"credentialsSecretRef": {"name": "no-rights"}}, "AccessDenied", "; allow it to list it, and to get, put and delete objects", id="no rights"),
    pytest.param({"caSecretRef": None}, "BadCertificate", "is not trusted: unable to get local issuer certificate; give the CA that signed it in spec.s3.caSecretRef", id="public CAs alone"),
    pytest.param({"region": "eu-central-1"}, "WrongRegion", "region eu-central-1 is wrong, it is us-east-1", id="wrong region"),
    pytest.param({"caSecretRef": {"name": "another-ca"}}, "BadCertificate", "is not trusted: ", id="another CA"),
    pytest.param({"endpoint": ENDPOINT.replace(":7070", ":7071")}, "CannotConnect", "cannot connect to s3.pgwarden-s3.svc.cluster.local:7071", id="wrong port"),
    pytest.param({"endpoint": "s3.nowhere.invalid"}, "CannotConnect", "the name s3.nowhere.invalid cannot be resolved", id="wrong name"),
    pytest.param({"uriStyle": "host"}, "CannotConnect", ".s3.pgwarden-s3.svc.cluster.local cannot be resolved", id="bucket in the host name"),
    pytest.param({"credentialsSecretRef": {"name": "not-there"}}, "SecretMissing", "there is no Secret not-there", id="no Secret"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason", "sentence"), TROUBLES)
def test_each_trouble_is_told_in_plain_words_soon_after_the_change(
    reached, space: Kubectl, bucket: str, change: dict, reason: str, sentence: str
):
    began = time.monotonic()
    space.apply(repository("s3", bucket, s3=change))
    told = space.until("pgrepo", "hippo", says("Reachable", "False", sentence), f"says {sentence}", SOON)
    found = condition(told, "Reachable")
    figure(f"{reason} after {time.monotonic() - began:.1f} s: {found['message']}")
    assert found["reason"] == reason
    assert "***" not in found["message"]
    assert told["status"]["phase"] in {"Pending", "Failed"}


def test_a_clock_that_is_late_is_told_by_the_store_and_put_in_plain_words(store: Store, bucket: str):
    """The node's clock cannot be another one than the store's here: so this asks as a late node would."""
    status, answer = store.answer(f"/{bucket}", late=timedelta(hours=1))
    assert status == 403
    said = f"[ProtocolError] HTTP request failed with {status} (Forbidden):\n*** Response Content ***:\n{answer}"
    found = explain(said, S3Service(endpoint=ENDPOINT, bucket=bucket))
    figure(f"{found.reason}: {found.sentence}")
    assert found.reason == "ClockSkew"
    assert "differ by more than 15 minutes; correct the node's clock (the server says: " in found.sentence


def test_without_verification_the_certificate_does_not_matter_and_admission_warns(reached, space: Kubectl, bucket: str):
    made = repository("s3", bucket, s3={"caSecretRef": None, "verifyTLS": False})
    applied = space.run("apply", "-f", "-", stdin=_json(made))
    assert "spec.s3.verifyTLS is false" in applied.stderr
    space.until("pgrepo", "hippo", is_true("Reachable"), "is reached", SOON)
    assert "repo1-storage-verify-tls=n" in _conf(space)


def test_a_corrected_secret_is_noticed_at_once(reached, space: Kubectl, store: Store, bucket: str):
    space.apply(repository("s3", bucket, s3={"credentialsSecretRef": {"name": "wrong-secret"}}))
    space.until("pgrepo", "hippo", says("Reachable", "False", "does not belong"), "is refused", SOON)
    key, secret = store.keys
    began = time.monotonic()
    space.apply(secret_of("wrong-secret", {"s3-key": key, "s3-key-secret": secret}))
    space.until("pgrepo", "hippo", is_true("Reachable"), "is reached", SOON)
    figure(f"reached {time.monotonic() - began:.1f} s after the Secret was corrected")


def test_an_outage_is_in_the_condition_within_half_a_minute_and_so_is_its_end(
    reached, space: Kubectl, store: Store, bucket: str
):
    space.apply(repository("s3", bucket))
    space.until("pgrepo", "hippo", is_true("Reachable"), "is reached", SOON)
    store.stop()
    try:
        began = time.monotonic()
        space.until("pgrepo", "hippo", says("Reachable", "False", "Connection refused"), "is down", SOON)
        noticed = time.monotonic() - began
    finally:
        store.start()
    began = time.monotonic()
    space.until("pgrepo", "hippo", is_true("Reachable"), "is back", SOON)
    figure(f"outage noticed after {noticed:.1f} s, its end after {time.monotonic() - began:.1f} s")


def test_path_port_region_and_style_reach_pgbackrest_as_they_are(reached, space: Kubectl, bucket: str):
    space.apply(repository("s3", bucket, s3={"path": "/team/blue", "uriStyle": "path"}))
    wanted = {
        "repo1-path=/team/blue",
        f"repo1-s3-bucket={bucket}",
        "repo1-s3-endpoint=s3.pgwarden-s3.svc.cluster.local",
        "repo1-storage-port=7070",
        "repo1-s3-region=us-east-1",
        "repo1-s3-uri-style=path",
        "repo1-s3-key-type=shared",
        "repo1-storage-ca-file=/pgwarden/conf/storage-ca.crt",
    }
    until(lambda: wanted <= set(_conf(space)), "host.conf has them", SOON, lambda: "\n".join(_conf(space)))
    assert not any("s3-key=" in line or "s3-key-secret=" in line for line in _conf(space))
    shown = space.until("pgrepo", "hippo", lambda r: r["status"]["storages"][0]["path"] == "/team/blue", "shows it")
    assert shown["status"]["storages"][0]["bucket"] == bucket


def test_two_repositories_on_one_bucket_and_path_are_refused(reached, space: Kubectl, bucket: str):
    said = space.refused(repository("s3", bucket, name="other", s3={"path": "/team/blue/"}))
    assert f"is used by Repository {space.namespace}/hippo in the same bucket; set another path" in said


def test_auto_without_an_instance_role_says_so(reached, space: Kubectl, bucket: str):
    space.apply(repository("s3", bucket, s3={"keyType": "auto", "credentialsSecretRef": None}))
    told = space.until("pgrepo", "hippo", says("Reachable", "False", "keyType auto gets no credentials"), "says so", 45)
    assert condition(told, "Reachable")["reason"] == "NoCredentials"


def test_web_identity_gives_the_host_a_role_and_a_token_of_the_service_account(
    reached, space: Kubectl, bucket: str, installed
):
    """No cloud answers here: pgBackRest gets as far as asking STS, which proves that it found role and token."""
    space.run("create", "serviceaccount", "backups")
    web_id = {"keyType": "web-id", "roleARN": "arn:aws:iam::1:role/backups", "credentialsSecretRef": None}
    space.apply(repository("s3", bucket, s3=web_id, serviceAccountName="backups"))
    told = space.until("pgrepo", "hippo", says("Reachable", "False", "sts.", "cannot be resolved"), "asks STS", 90)
    assert condition(told, "Reachable")["reason"] == "CannotConnect"
    pod = _host_pod(space)
    assert pod["spec"]["serviceAccountName"] == "backups"
    variables = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert variables["AWS_ROLE_ARN"] == "arn:aws:iam::1:role/backups"
    claims = space.run(
        "exec", pod["metadata"]["name"], "--", "python3", "-c",
        "import base64, os; part = open(os.environ['AWS_WEB_IDENTITY_TOKEN_FILE']).read().split('.')[1];"
        "print(base64.urlsafe_b64decode(part + '=='[: -len(part) % 4]).decode())",
    ).stdout  # fmt: skip
    assert f"system:serviceaccount:{space.namespace}:backups" in claims
    assert "sts.amazonaws.com" in claims
    _check_postgres(space, installed)


def _check_postgres(space: Kubectl, installed) -> None:
    """The same for a PostgreSQL pod, whose archive_command alone sees the variables."""
    from harness.postgres import Postgres, statefulset

    space.apply(*statefulset(installed.postgres_image))
    postgres = Postgres(space)
    postgres.wait_ready()
    assert space.get("pod", "postgres-0")["spec"]["serviceAccountName"] == "backups"
    command = postgres.sql("SHOW archive_command")
    assert command.startswith(
        "AWS_ROLE_ARN=arn:aws:iam::1:role/backups AWS_WEB_IDENTITY_TOKEN_FILE=/pgwarden/token/token "
    )
    assert "AWS_" not in postgres.run("env")
    said = "postgres can read the token"
    as_postgres = f"test -r /pgwarden/token/token && echo {said}"
    assert said in postgres.sql(
        f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {as_postgres} > /tmp/said'; SELECT pg_read_file('/tmp/said')"
    )


def _host_pod(space: Kubectl) -> dict:
    pods = space.list("pods", "pgwarden.io/component=host")
    return next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])


def _conf(space: Kubectl) -> list[str]:
    return space.get("configmap", "hippo-pgbackrest")["data"]["host.conf"].splitlines()


def _json(obj: dict) -> str:
    import json

    return json.dumps(obj)


def _another_ca() -> str:
    """A certificate authority that has nothing to do with the store."""
    from datetime import UTC, datetime

    from controller.certificates import new_ca

    return new_ca("somebody else's", datetime.now(UTC)).cert.decode()
