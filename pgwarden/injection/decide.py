"""The second stage: whether and how a pod is injected, from what was inspected and what its Repository says."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pgwarden.api.faults import Fault, limited
from pgwarden.api.kinds import PodFacts, PostgresAccess, SecretKeyRef
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.injection import resources
from pgwarden.injection.inspection import Inspected, Postgres
from pgwarden.injection.pods import VolumeMount
from pgwarden.injection.resources import Shrunk
from pgwarden.injection.settings import Settings
from pgwarden.injection.terms import Terms


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All that the injected containers and volumes are made of. Hashable: pods of one template share one rendering."""

    repository: str
    stanza: str
    settings: Settings
    facts: PodFacts
    mounts: tuple[VolumeMount, ...]  # of the data directory and of every other persistent volume of the container
    socket: VolumeMount | None  # the pod's own volume at the socket directory; None: we add one
    environment: bytes = b"[]"  # JSON: variables that a subPathExpr of these mounts asks for
    password: SecretKeyRef | None = None  # that the Repository names; one from the pod is among the facts, or:
    given_password: str = ""  # as it stands in the pod
    password_file: str = ""
    password_mount: VolumeMount | None = None
    resources: bytes  # JSON of the sidecar's requests and limits
    shrunk: str = ""  # which of them are less than usual, and why
    role_arn: str = ""  # web identity: the role that PostgreSQL's container takes
    service_account: str = ""  # that the pod is to run as; empty: its own
    pull_secrets: tuple[str, ...] = ()  # for the sidecar's image


class Inject(msgspec.Struct, frozen=True, kw_only=True):
    postgres: Postgres
    recipe: Recipe
    warnings: tuple[str, ...] = ()

    @property
    def facts(self) -> PodFacts:
        return self.recipe.facts


class Skip(msgspec.Struct, frozen=True):
    """A pod that is none of ours."""

    reason: str


class Refuse(msgspec.Struct, frozen=True):
    faults: list[Fault]


InjectionDecision = Inject | Skip | Refuse


def decide(inspected: Inspected, terms: Terms, settings: Settings, wanted: Asks = NOTHING) -> Inject | Refuse:
    """The decision on a pod that names a Repository. *wanted*: what the pod's namespace asks of each container."""
    postgres, access = inspected.postgres, terms.access
    if postgres is None:
        return Refuse(limited(inspected.faults))
    found = _resources(postgres, terms, wanted)
    shrunk = _shrunk(postgres, terms, wanted, found)
    recipe = Recipe(
        repository=terms.repository,
        stanza=terms.stanza,
        settings=settings,
        facts=_facts(postgres, access),
        mounts=postgres.mounts,
        socket=postgres.socket,
        environment=msgspec.json.encode(postgres.environment),
        password=access.password_secret_ref,
        given_password=postgres.reached.password,
        password_file=postgres.reached.password_file,
        password_mount=postgres.reached.password_mount,
        resources=msgspec.json.encode(found),
        shrunk=shrunk.less,
        role_arn=terms.role_arn,
        pull_secrets=terms.pull_secrets,
        service_account=terms.service_account if _has_no_account(postgres, terms) else "",
    )
    return Inject(postgres=postgres, recipe=recipe, warnings=(*_warnings(postgres, terms), *_room(shrunk)))


def _resources(postgres: Postgres, terms: Terms, wanted: Asks) -> Object:
    given = msgspec.json.decode(terms.resources) if terms.resources else None
    return resources.sidecar(given, terms.memory, postgres.company, wanted)


def _shrunk(postgres: Postgres, terms: Terms, wanted: Asks, found: Object) -> Shrunk:
    if not wanted.left:
        return Shrunk()
    usual = _resources(postgres, terms, msgspec.structs.replace(wanted, left=()))
    return resources.shrunk(usual, found, wanted.left)


def _room(shrunk: Shrunk) -> Iterator[str]:
    if shrunk.lacking:
        yield f"{shrunk.lacking}: Kubernetes refuses the pod; make room in this namespace"
    elif shrunk.less:
        yield f"the sidecar pgwarden gets less than usual, as there is no more room: {shrunk.less}"


def _facts(postgres: Postgres, access: PostgresAccess) -> PodFacts:
    configured_by = access.configure_by
    if configured_by == "Auto":
        configured_by = "Arguments" if postgres.takes_settings else "AlterSystem"
    return PodFacts(
        container=postgres.name,
        data_directory=postgres.data_directory,
        port=postgres.reached.port,
        socket_directory=postgres.reached.socket_directory,
        user=postgres.reached.user,
        database=postgres.reached.database,
        run_as_user=postgres.run_as_user,
        run_as_group=postgres.run_as_group,
        configured_by=configured_by,
        data_volume=postgres.data_volume,
        sources=postgres.reached.sources,
    )


def _has_no_account(postgres: Postgres, terms: Terms) -> bool:
    """None of its own: the API server has put `default` there before us, an earlier look perhaps the Repository's."""
    return postgres.existing.service_account in {"", "default", terms.service_account}


def _warnings(postgres: Postgres, terms: Terms) -> tuple[str, ...]:
    said = []
    if postgres.data_on_empty_dir:
        where = f"the data directory is on emptyDir {postgres.data_volume}"
        said.append(f"{where}: it is deleted with the pod, and a Restore cannot use it")
    if postgres.in_a_shell:
        said.append(
            f"container {postgres.name} starts a shell with {postgres.in_a_shell}, which no ALTER SYSTEM overrides if "
            "the server gets it as an argument: nothing would be archived; remove it"
        )
    if postgres.reached.asks_by:
        said.append(
            f"container {postgres.name} has {postgres.reached.asks_by}, by which PostgreSQL asks for a password on its "
            "socket, and its variables have none: set the Repository's spec.postgres.passwordSecretRef"
        )
    if terms.service_account and not _has_no_account(postgres, terms):
        own = postgres.existing.service_account
        said.append(f"keyType web-id: the pod runs as service account {own}, which also needs the role for the bucket")
    return tuple(said)
