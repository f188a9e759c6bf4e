"""The S3 store beside the node: its keys, and a signed request for what the CLI needs.

Signing is AWS signature version 4, written out because nothing but the
standard library is available to this package.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import json
import secrets
import ssl

from localcluster import pki, ports
from localcluster.config import S3_HOST, S3_PORT, Cluster
from localcluster.errors import LocalClusterError

_REGION = "us-east-1"


def credentials(cluster: Cluster) -> tuple[str, str]:
    """The root access and secret key, made at the first call."""
    path = cluster.s3 / "credentials"
    if not path.exists():
        access, secret = secrets.token_hex(10).upper(), secrets.token_hex(20)
        text = f"AWS_ACCESS_KEY_ID={access}\nAWS_SECRET_ACCESS_KEY={secret}\n"
        pki.write_private(path, text)
    values = dict(line.split("=", 1) for line in path.read_text().split())
    return values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]


def prepare(cluster: Cluster) -> tuple[str, str]:
    """Folders, certificates and keys the server needs before it starts."""
    for folder in ("buckets", "metadata", "versions", "iam"):
        (cluster.s3 / folder).mkdir(parents=True, exist_ok=True)
    pki.create_s3(cluster)
    return credentials(cluster)


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def make_account(cluster: Cluster) -> tuple[str, str]:
    """Access and secret key of a user that the store knows from now on, and who may do nothing."""
    access, secret = secrets.token_hex(10).upper(), secrets.token_hex(20)
    users = cluster.s3 / "iam" / "users.json"
    known = json.loads(users.read_text() or "{}").get("accessAccounts") if users.exists() else None
    accounts = (known or {}) | {access: {"access": access, "secret": secret, "role": "user"}}
    pki.write_private(users, json.dumps({"accessAccounts": accounts}))
    return access, secret


def _headers(
    method: str, path: str, keys: tuple[str, str], moment: str, query: str = "", body: bytes = b""
) -> dict[str, str]:
    """*query* as it is signed: `policy=`, and not `policy`."""
    (access, secret), day, content = keys, moment[:8], hashlib.sha256(body).hexdigest()
    signed = {"host": f"{S3_HOST}:{S3_PORT}", "x-amz-content-sha256": content, "x-amz-date": moment}
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{content}"
    scope = f"{day}/{_REGION}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (day, _REGION, "s3", "aws4_request"):
        key = _sign(key, part)
    signature = _sign(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={signature}"
    return {**signed, "authorization": authorization}


def request(
    cluster: Cluster,
    method: str,
    path: str,
    late: dt.timedelta = dt.timedelta(),
    *,
    keys: tuple[str, str] | None = None,
    query: str = "",
    body: bytes = b"",
) -> tuple[int, str]:
    """One signed request through the host's forwarder, as from a machine whose clock is that *late*. *keys*: of another
    user than root.
    """
    tls = ssl.create_default_context(cafile=str(cluster.s3 / "ca.crt"))
    moment = (dt.datetime.now(dt.UTC) - late).strftime("%Y%m%dT%H%M%SZ")
    connection = http.client.HTTPSConnection(
        "127.0.0.1", ports.remembered(cluster).get("s3", 0), timeout=10, context=tls
    )
    try:
        headers = _headers(method, path, keys or credentials(cluster), moment, query, body)
        connection.request(method, f"{path}?{query}" if query else path, body=body or None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def answers(cluster: Cluster) -> bool:
    """Whether the store lists its buckets to its root user."""
    try:
        return request(cluster, "GET", "/")[0] == 200
    except OSError:
        return False


def set_policy(cluster: Cluster, bucket: str, policy: str) -> None:
    """Who may do what in the bucket besides root."""
    status, said = request(cluster, "PUT", f"/{bucket}", query="policy=", body=policy.encode())
    if status not in {200, 204}:
        raise LocalClusterError(f"the S3 store refused the policy of bucket {bucket!r}: {status} {said[:300]}")


def keep_versions(cluster: Cluster, bucket: str) -> None:
    """From now on nothing that is overwritten or deleted in the bucket is gone."""
    body = (
        '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status>'
        "</VersioningConfiguration>"
    )
    status, said = request(cluster, "PUT", f"/{bucket}", query="versioning=", body=body.encode())
    if status != 200:
        raise LocalClusterError(f"the S3 store refused versioning of bucket {bucket!r}: {status} {said[:300]}")


def make_bucket(cluster: Cluster, bucket: str) -> bool:
    """Create a bucket; False when it is already there."""
    try:
        status, body = request(cluster, "PUT", f"/{bucket}")
    except OSError as error:
        raise LocalClusterError(
            f"the S3 store does not answer: {error}",
            log=cluster.log("versitygw"),
            way_out="python3 -m localcluster s3 start",
        ) from error
    if status == 200:
        return True
    if status == 409 and "BucketAlready" in body:
        return False
    raise LocalClusterError(f"the S3 store refused bucket {bucket!r}: {status} {body[:300]}")
