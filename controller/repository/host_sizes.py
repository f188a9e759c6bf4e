"""How the two containers of a repository host share what one was given: a quota counts no more than that. Pure."""

from __future__ import annotations

from fractions import Fraction

from controller.pod_parts import SIZE
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.sizing import LIMITS, Asks, Size, fitted, written

#: What the server has of it: it moves files and compresses nothing. TLS takes its half of the CPU.
SERVER = {"memory": Fraction(1, 4), "cpu": Fraction(1, 2)}
_OTHERS = Fraction(1, 2)
#: With less of a limit neither starts.
LEAST = {"memory": Fraction(64 * 2**20), "cpu": Fraction(1, 20)}


def shares(spec: RepositorySpec, wanted: Asks) -> tuple[Object, Object]:
    """Of the agent's container, and of the server's. *wanted*: by the namespace."""
    asked = wanted.shared_by(2)
    sizes = (Size(always=_always(spec, server=server), if_asked=_if_asked(server=server)) for server in (False, True))
    agent, of_server = (fitted(None, size, asked) for size in sizes)
    return agent, of_server


def _always(spec: RepositorySpec, *, server: bool) -> Object:
    return {
        bound: {name: _share(bound, name, value, server=server) for name, value in (values or {}).items()}
        for bound, values in (spec.resources or SIZE.always).items()
    }


def _if_asked(*, server: bool) -> dict[str, str]:
    named = {word: word.split(".", 1) for word in SIZE.if_asked}
    return {word: str(_share(bound, name, SIZE.if_asked[word], server=server)) for word, (bound, name) in named.items()}


def _share(bound: str, name: str, value: object, *, server: bool) -> object:
    amount = parse_quantity(value)
    if amount is None:
        return value
    of_server = SERVER.get(name, _OTHERS)
    share = amount * (of_server if server else 1 - of_server)
    return written(name, max(share, LEAST.get(name, Fraction(0))) if bound == LIMITS else share)
