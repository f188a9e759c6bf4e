"""What an S3 service answers → (reason, sentence for people), and how sentences about one are worded."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import msgspec

from pgwarden.pgbackrest.trouble import Trouble, brief, one_line


class S3Service(msgspec.Struct, frozen=True):
    """Of one Repository; what is empty is worded without its name."""

    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    secret: str = ""  # the Secret with the S3 keys
    deletes: bool = True  # whether the key must be allowed to: not what archives and fetches WAL beside PostgreSQL

    @property
    def title(self) -> str:
        return self.endpoint or "the S3 service"

    @property
    def field(self) -> str:
        return "spec.s3"

    def document(self, text: str) -> tuple[str, str]:
        """Code and message of the error document; ("", "") where there is none."""
        code = re.search(r"<Code>([^<]*)</Code>", text)
        message = re.search(r"<Message>([^<]*)</Message>", text)
        return (one_line(code[1]) if code else "", one_line(html.unescape(message[1]))[:300] if message else "")

    def answered(self, code: str, message: str) -> Trouble | None:
        if code not in _ANSWERS:
            return None
        reason, sentence = _ANSWERS[code]
        said = f" (the server says: {message})" if message else ""
        return Trouble(reason, sentence(message, self) + said)

    def unresolved(self, host: str) -> str:
        if not self.bucket or not host.startswith(f"{self.bucket}."):
            return ""
        return ", or set spec.s3.uriStyle to path (MinIO, Ceph and most services other than AWS)"

    def credentials(self, text: str) -> Trouble | None:
        if "AWS_WEB_IDENTITY_TOKEN_FILE" in text:
            way_out = "set spec.s3.roleARN, or let the cloud's webhook give the service account a role"
            return Trouble("NoCredentials", f"keyType web-id finds no role and token in the pod; {way_out}")
        if "169.254.169.254" in text or "temporary credentials" in text:
            return Trouble(
                "NoCredentials", f"keyType auto gets no credentials from the instance's metadata service: {brief(text)}"
            )
        return None


def _bucket(where: S3Service) -> str:
    return f"bucket {where.bucket}" if where.bucket else "the bucket"


def _in_secret(key: str, where: S3Service) -> str:
    return f"correct {key} in Secret {where.secret}" if where.secret else f"correct {key}"


def _key(where: S3Service) -> str:
    return f"the key in Secret {where.secret}" if where.secret and not where.deletes else "the key"


def _rights(where: S3Service) -> str:
    return "get, put and delete objects" if where.deletes else "get objects, and put those of the folder archive"


def _region(message: str, where: S3Service) -> str:
    named = re.findall(r"[\"']([a-z0-9-]+)[\"']", message)
    wrong, right = (named[0], named[1]) if len(named) > 1 else (where.region, named[0] if named else "")
    return f"region {wrong or 'given'} is wrong" + (f", it is {right}" if right else "") + "; correct spec.s3.region"


_BAD_KEY = "BadKey"
#: S3 error code → (reason, sentence). XAdminUserNotFound is versitygw's.
_ANSWERS: dict[str, tuple[str, Callable[[str, S3Service], str]]] = {
    "NoSuchBucket": (
        "NoSuchBucket",
        lambda _, w: f"{_bucket(w)} does not exist at {w.title}; create it, or correct spec.s3.bucket",
    ),
    "InvalidBucketName": (
        "NoSuchBucket",
        lambda _, w: f"{w.title} does not accept {_bucket(w)}: the name is invalid; correct spec.s3.bucket",
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "XAdminUserNotFound", "InvalidClientTokenId"),
        (_BAD_KEY, lambda _, w: f"{w.title} does not know the access key; {_in_secret('s3-key', w)}"),
    ),
    "SignatureDoesNotMatch": (
        _BAD_KEY,
        lambda _, w: f"the secret key does not belong to the access key; {_in_secret('s3-key-secret', w)}",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidIdentityToken"),
        (_BAD_KEY, lambda _, w: f"{w.title} refuses the temporary credentials; check spec.s3.keyType"),
    ),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem"),
        (
            "AccessDenied",
            lambda _, w: f"{_key(w)} has no access to {_bucket(w)}; allow it to list it, and to {_rights(w)}",
        ),
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"),
        ("WrongRegion", _region),
    ),
    "RequestTimeTooSkewed": (
        "ClockSkew",
        lambda _, w: (
            f"the clocks of the node and of {w.title} differ by more than 15 minutes; correct the node's clock"
        ),
    ),
}
