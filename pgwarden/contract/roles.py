"""The roles that a PostgresCluster's Secret has passwords of, as an agent is told to keep them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pgwarden.contract.shape import Shape

#: What pg_authid holds: `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`. The password itself stays with the controller.
Verifier = Annotated[
    str,
    msgspec.Meta(pattern=r"^SCRAM-SHA-256\$[0-9]{4,7}:[A-Za-z0-9+/=]{1,88}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}\Z"),
]


class Role(Shape, frozen=True, kw_only=True):
    """*replicates* and *rewinds*: has the rights for that. *create*: made where it is missing, else passed over;
    *database*: with a database of its name, then.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    verifier: Verifier
    replicates: bool = False
    rewinds: bool = False
    create: bool = False
    database: bool = False


class Roles(Shape, frozen=True, kw_only=True):
    roles: Annotated[tuple[Role, ...], msgspec.Meta(max_length=16)] = ()
