"""The rules' fixtures: objects and the world that they are judged in."""

from tests.unit.rules.conftest import cluster, hippo, judge, make, refusal, s3

__all__ = ["cluster", "hippo", "judge", "make", "refusal", "s3"]
