"""What the API server does not take, in Kubernetes' own words: they are another's, and may be long. Pure."""

from __future__ import annotations

from pgwarden.api import outside
from pgwarden.kube.errors import Invalid

LONGEST = 1000  # characters


def told(what: str, error: Invalid) -> str:
    """*what* is refused, and why."""
    return f"{what}: {outside.printable(error.message or str(error))}"[:LONGEST]
