"""`s3`: a bucket of an S3 service. Every pod reads and writes it itself, so that WAL does not wait for the host."""

from __future__ import annotations

from pgwarden.storages.s3.bucket import S3
from pgwarden.storages.s3.service import S3Service

__all__ = ["S3", "S3Service"]
