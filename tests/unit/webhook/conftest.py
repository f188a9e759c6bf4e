"""The injection's fixtures: the webhook is a shell around it."""

from tests.unit.injection.conftest import (
    applied,
    golden,
    operations,
    pair,
    pod,
    repository,
    review_of,
    secret,
    settings,
)

__all__ = ["applied", "golden", "operations", "pair", "pod", "repository", "review_of", "secret", "settings"]
