"""How the two containers of a repository host share what one was given: a quota counts no more than that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

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
    """Of the agent's container, and of the server's. *wanted*: by the namespace. Of what a user has set nothing is
    taken away; a share of it may be below what is the least for a container there, and is that then.
    """
    asked = wanted.shared_by(2)
    agent, of_server = (_fitted(spec.resources, asked, server=server) for server in (False, True))
    return agent, of_server


def _fitted(given: Object | None, asked: Asks, *, server: bool) -> Object:
    named = {word: word.split(".", 1) for word in SIZE.if_asked}
    if_asked = {
        word: str(_share(bound, name, SIZE.if_asked[word], server=server)) for word, (bound, name) in named.items()
    }
    size = Size(always=_part(SIZE.always, server=server), if_asked=if_asked)
    if not given:
        return fitted(None, size, asked)
    least = {one.resource: one.least for one in asked.ranges if one.least}
    return fitted(_part(given, server=server, least=least), size, asked)


def _part(whole: Object, *, server: bool, least: Mapping[str, str] = MappingProxyType({})) -> Object:
    return {
        bound: {name: _share(bound, name, value, least.get(name), server=server) for name, value in values.items()}
        for bound, values in whole.items()
        if values
    }


def _share(bound: str, name: str, value: object, least: str | None = None, *, server: bool) -> object:
    amount = parse_quantity(value)
    if amount is None:
        return value
    of_server = SERVER.get(name, _OTHERS)
    share = amount * (of_server if server else 1 - of_server)
    if bound == LIMITS:
        share = max(share, LEAST.get(name, share))
    return written(name, max(share, parse_quantity(least) or share))
