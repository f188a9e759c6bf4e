"""The operator's defaults, and a Repository's S3 settings once they have been filled in."""

from __future__ import annotations

import msgspec

from pgwarden.api.kinds import Model, RepositorySpec, S3Storage


class OperatorDefaults(Model, frozen=True, kw_only=True):
    """The chart's values `s3.bucket`, `s3.endpoint`, `s3.region`. Used one by one, where a Repository says nothing."""

    s3_bucket: str = ""
    s3_endpoint: str = ""
    s3_region: str = ""


def effective_s3(spec: RepositorySpec, defaults: OperatorDefaults, namespace: str, name: str) -> S3Storage | None:
    """*spec*.s3 with nothing left empty that has a default; None where the Repository does not use S3."""
    if "s3" not in spec.storages:
        return None
    own = spec.s3 or S3Storage()
    return msgspec.structs.replace(
        own,
        bucket=own.bucket or defaults.s3_bucket,
        endpoint=own.endpoint or defaults.s3_endpoint,
        region=own.region or defaults.s3_region,
        path=s3_path(own.path, namespace, name),
    )


def s3_path(path: str, namespace: str, name: str) -> str:
    """The folder in the bucket, in its one spelling: a leading slash, none at the end, none doubled."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts) if parts else f"/pgwarden/{namespace}/{name}"
