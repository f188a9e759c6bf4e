"""The first instance's volume, filled before its pod is made, where a cluster begins with data. Pure.

A recovery does it (controller/recovery/), in a folder beside the data directory; Patroni's bootstrap then only moves
that into place. By a note on the volume's claim it is known that it is done.
"""

from __future__ import annotations

import msgspec

from controller import patroni, placement, pod_parts
from controller.cluster.clone import Source
from controller.cluster.facts import ClusterFacts
from controller.cluster.render import UID
from controller.recovery import needs, target
from controller.recovery.hindrance import Hindrance
from controller.recovery.order import Elsewhere, Order, Server
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import PodFacts, RepositorySpec, RestoreSpec
from pgwarden.api.target import rfc3339
from pgwarden.contract import server_facts
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import parse_options

#: The component of its Job and pods. No label of the cluster: none of its Services and budgets counts them.
COMPONENT = names.COMPONENT_RECOVERY
_FACTS = PodFacts(
    container="postgres",
    data_directory=names.CLONE_PGDATA,
    port=names.PORT_POSTGRES,
    socket_directory=patroni.SOCKET,
    user=patroni.SUPERUSER,
    database="postgres",
    run_as_user=UID,
    run_as_group=UID,
    configured_by="Patroni",
    data_volume="data",
)


def order(facts: ClusterFacts, settings: Settings, *, own: bool) -> Order:
    """*own*: from the cluster's own Repository, to its latest state; else as spec.dataSource says."""
    source = None if own else facts.spec.data_source
    wanted = source.as_restore() if source else RestoreSpec(repository=facts.name)
    found = (facts.own if own else facts.source) or Source()
    arguments = _arguments(facts, wanted, found, own=own)
    moment = target.wanted_time(wanted)
    return Order(
        job=names.clone_job(facts.name),
        namespace=facts.cluster["metadata"]["namespace"],
        owner=facts.cluster,
        labels=pod_parts.labels(facts.name, COMPONENT),
        repository=facts.name,
        repo_spec=msgspec.convert(facts.spec.repository, RepositorySpec),
        facts=_FACTS,
        server=_server(facts, settings, found),
        claim=names.instance(facts.name, 1),
        mounts=({"mountPath": names.CLUSTER_DATA},),
        uid=facts.cluster["metadata"]["uid"],
        arguments=tuple(arguments),
        elsewhere=None if own else _elsewhere(facts.name, names.stanza(wanted.repository, _of_source(found).stanza)),
        copy=True,
        as_of=None if own else target.as_of(wanted, _of_source(found)),
        target_time=rfc3339(moment) if moment else "",
        scheduling=placement.like(placement.fields(facts.spec.instances.pod_template.spec)),
        security=pod_parts.pod_security(UID, UID),
        asks=facts.asks,
    )


def _of_source(found: Source) -> RepositorySpec:
    return msgspec.convert((found.repository or {}).get("spec") or {}, RepositorySpec)


def _elsewhere(cluster: str, stanza: str) -> Elsewhere:
    return Elsewhere(
        stanza=stanza,
        secret=names.clone_secret(cluster),
        folder=names.CLONE_SOURCE,
        config=names.CLONE_CONF_FILE,
        needs=names.CLONE_NEEDS_FILE,
    )


def _server(facts: ClusterFacts, settings: Settings, found: Source) -> Server:
    image = facts.spec.image
    source = server_facts.of(found.repository)
    return Server(
        image=image or settings.postgres_image,
        image_pull_policy="IfNotPresent" if image else settings.image_pull_policy,
        bin_directory=names.cluster_bin(facts.spec.postgres_version),
        preload=tuple(needs.libraries(source, facts.spec.parameters)),
    )


def _arguments(facts: ClusterFacts, wanted: RestoreSpec, found: Source, *, own: bool) -> list[str]:
    """pgBackRest's. One storage is chosen, as for a Restore."""
    spec = _of_source(found)
    chosen = target.storage(wanted, spec, found.info, facts.now)
    stanza, role = names.stanza(wanted.repository, spec.stanza), storages.role(spec) if own else ""
    options, _ = parse_options(wanted.options, command="restore", storages=storages.NAMES)
    return commands.restore_argv(
        stanza,
        target=wanted.target,
        timeline=wanted.target_timeline,
        backup_set=wanted.set,
        repo=spec.repo_number(chosen) if chosen and not isinstance(chosen, Hindrance) else None,
        data_directory=names.CLONE_PGDATA,
        options=options,
        recovery_command="" if own else commands.clone_restore_command(stanza),
        role_arn=role,
    )
