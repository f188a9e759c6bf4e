"""Web identity (keyType web-id): the role, and the service account's token, that pgBackRest finds by two variables.

pgBackRest (src/storage/s3/helper.c) takes both from the environment alone, of whichever process reaches the bucket: of
PostgreSQL's container, which pushes WAL, of the repository host, and of each Job. With spec.s3.roleARN they and the
token's volume are ours. Without it, the cloud's own webhook is left to give them to the pods of a service account.
"""

from __future__ import annotations

from typing import Any

from pgwarden.api import names

ROLE, TOKEN = "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"
TOKEN_FILE = f"{names.TOKEN_DIR}/token"
#: What AWS's STS, and those made after it, ask of a token.
AUDIENCE = "sts.amazonaws.com"
_SECONDS = 3600  # the kubelet renews it before


def environment(role_arn: str) -> dict[str, str]:
    return {ROLE: role_arn, TOKEN: TOKEN_FILE} if role_arn else {}


def mounts(role_arn: str) -> list[dict[str, Any]]:
    mount = {"name": names.VOLUME_TOKEN, "mountPath": names.TOKEN_DIR, "readOnly": True}
    return [mount] if role_arn else []


def volumes(role_arn: str) -> list[dict[str, Any]]:
    token = {"path": "token", "audience": AUDIENCE, "expirationSeconds": _SECONDS}
    projected = {"defaultMode": 0o444, "sources": [{"serviceAccountToken": token}]}
    return [{"name": names.VOLUME_TOKEN, "projected": projected}] if role_arn else []
