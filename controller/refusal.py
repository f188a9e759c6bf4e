"""What the API server does not take, in Kubernetes' own words: they are another's, and may be long. Pure."""

from __future__ import annotations

from pgwarden.api import outside
from pgwarden.kube.errors import Invalid, Terminating

LONGEST = 1000  # characters


def told(what: str, error: Invalid) -> str:
    """*what* is refused, and why."""
    return f"{what}: {outside.printable(error.message or str(error))}"[:LONGEST]


def waited_for(error: Invalid) -> str:
    """What a status says: the world's fault, and tried again. Of a namespace that is going nothing is said."""
    if isinstance(error, Terminating):
        raise error
    return told("Kubernetes refuses it, and it is tried again", error)
