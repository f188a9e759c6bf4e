"""gather → decide → apply for a PostgresCluster: what always stands is applied, then one thing is done."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import structlog

from controller import admission, network_policies, node_lookup, owned, refusal, removal
from controller.cluster import beginning, instance, news, passwords, render, report
from controller.cluster.actions import (
    Action,
    BackUp,
    Clone,
    ClusterDecision,
    Configure,
    EndClone,
    EndPod,
    KeepClone,
    Make,
    Recover,
    Remove,
    Rename,
    RepeatClone,
    Switch,
    TakeClone,
)
from controller.cluster.beginning import Origin
from controller.cluster.certificate_keeper import CertificateKeeper
from controller.cluster.claims import ClaimKeeper
from controller.cluster.decide import decide, paused
from controller.cluster.deletion_steps import Deletion
from controller.cluster.encryption import Mode
from controller.cluster.facts import ClusterFacts, Instance
from controller.cluster.filler import Filler
from controller.cluster.gather import gather, of_earlier, stranger
from controller.cluster.password_keeper import Kept, PasswordKeeper
from controller.cluster.patroni_objects import PatroniObjects
from controller.context import Context
from controller.owned import InTheWayError
from controller.recovery import request
from controller.runtime import conditions, metrics, status
from controller.runtime.applied import Applied
from controller.runtime.backoff import Allowance, Pace, Tries
from controller.runtime.event_memory import EventMemory
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

log = structlog.get_logger()
STEADY = 30.0  # seconds between looks; Patroni's own news come by the watch
UNSETTLED = 3.0
#: An object that was applied and has not changed is looked for again after this long.
TRUSTED_SECONDS = 120.0
#: The same thing is done so often at once, then once a minute: its effect may be taken back each time, or not come.
DONE_AT_ONCE, DONE_AGAIN = 10, timedelta(minutes=1)
#: What costs PostgreSQL its connections, a restart or a switchover, is asked for again after growing pauses.
HEAVY = Pace(timedelta(minutes=1), timedelta(hours=1))


def signature(facts: ClusterFacts, action: Action | None) -> tuple[str, bool]:
    """What *action* is, the same for the same thing done again, and whether it costs connections. Empty: not counted.

    A new spec is another thing.
    """
    generation = facts.cluster["metadata"].get("generation")
    match action:
        case None | Clone() | KeepClone():  # these only see to it that something is there
            return "", False
        case Make(number, restarted):
            before = next((one for one in facts.instances if one.number == number), None)
            restart = before is not None and before.digest == facts.digest and restarted != before.restarted
            return f"Make {number} {facts.digest} {generation if restart else ''}", restart
        case Switch(leader, _):
            return f"Switch {leader} {generation}", True
        case Remove(one):
            return f"Remove {one.name}", False
        case RepeatClone(job):
            return f"RepeatClone {job['metadata']['name']}", False
        case EndPod(pod):
            return f"EndPod {pod['metadata']['uid']}", False
        case EndClone(remove):
            return f"EndClone {remove}", False
        case _:
            return repr(action), False


def _pause(facts: ClusterFacts, decision: ClusterDecision) -> float:
    """Seconds until the next look. A change of the spec wakes the controller, also of one that is refused."""
    is_refused = not facts.initialized and not facts.instances and beginning.is_refused(facts)
    return STEADY if is_refused or (not decision.message and facts.primary) else UNSETTLED


class ClusterController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._deletion = Deletion(context)
        self._filler = Filler(context)
        self._patroni = PatroniObjects(context)
        self._applied = Applied()
        self._passwords = PasswordKeeper(context)
        self._certificates = CertificateKeeper(context)
        self._claims = ClaimKeeper(context)
        self._told = EventMemory()
        self._done: Allowance[tuple[Key, str]] = Allowance(DONE_AT_ONCE, DONE_AGAIN)
        self._heavy: Tries[tuple[Key, str]] = Tries(HEAVY)
        #: Cluster → what has the name of one of its instances and is not its own, as it was told last.
        self._in_the_way: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> float | None:
        cluster = self._context.caches.clusters.get(*key)
        if cluster is None or is_going(cluster):
            self._told.forget(key)
            self._applied.forget(key)
            self._passwords.forget(key)
            self._certificates.forget(key)
            self._claims.forget(key)
            self._filler.forget(key)
            admission.forget("postgresclusters", key)
            metrics.without_node(key, 0)
            self._in_the_way.pop(key, None)
            return None if cluster is None else await self._deletion.look(cluster)
        answer = await admission.judge(self._context, "postgresclusters", cluster)
        if not answer.go:
            return answer.again
        if await self._deletion.put_finalizer(cluster):
            return UNSETTLED
        facts = dataclasses.replace(await gather(self._context, cluster), refused=answer.refused)
        if not facts.fault:
            facts = await self._filler.look(facts)
            try:
                facts = await self._nodes(await self._stand(facts))
            except InTheWayError as error:
                facts = await self._in_its_way(facts, str(error))
            except errors.Invalid as error:
                facts = dataclasses.replace(facts, not_made=refusal.waited_for(error))
            facts = await self._claims.look(key, facts)
        decision = ClusterDecision(None, facts.not_made) if facts.not_made else self._paced(key, facts, decide(facts))
        if decision.action is not None:
            try:
                trouble = await self._act(facts, decision.action)
            except errors.Invalid as error:
                facts = dataclasses.replace(facts, not_made=refusal.waited_for(error))
                trouble = facts.not_made
            if trouble:
                decision = ClusterDecision(None, trouble)
                if trouble == self._in_the_way.get(key) and not facts.initialized:
                    facts = dataclasses.replace(facts, fault=trouble)
            await self._tell(facts, decision)
        kept = await self._passwords.keep(key, facts)
        await self._report(facts, decision, kept)
        if facts.not_made:
            return STEADY
        return UNSETTLED if kept.trouble else _pause(facts, decision)

    def _paced(self, key: Key, facts: ClusterFacts, decision: ClusterDecision) -> ClusterDecision:
        """*decision*, without its action where that was done already, in vain, and its time has not come again."""
        what, heavy = signature(facts, decision.action)
        if not what:
            return decision
        if not heavy:
            if self._done.take((key, what), facts.now):
                return decision
            return ClusterDecision(None, f"{decision.message}: repeated often, again within a minute")
        known, due = self._heavy.get((key, what)), self._heavy.next((key, what))
        if known is None or due is None or facts.now >= due:
            self._heavy.tried((key, what), facts.now)
            return decision
        often = f": requested {known.times} times, again at {conditions.timestamp(due)}" if known.times > 1 else ""
        return ClusterDecision(None, decision.message + often)

    async def _in_its_way(self, facts: ClusterFacts, why: str) -> ClusterFacts:
        """Nothing is done while what the cluster needs is another's: that is a fault, with an Event the first time."""
        await self._tell_of_stranger(facts, why)
        return dataclasses.replace(facts, fault=why)

    # --- what always stands ----------------------------------------------------------------------------------------

    async def _stand(self, facts: ClusterFacts) -> ClusterFacts:
        cluster, spec = facts.cluster, facts.spec
        await self._patroni.own(facts)
        for plural, obj in render.account(cluster):
            await self._apply(plural, obj)
        for service in render.services(cluster):
            await self._apply("services", service)
        await self._apply("poddisruptionbudgets", render.disruption_budget(cluster))
        policy = network_policies.of_instances(cluster, self._context.settings)
        if self._context.settings.network_policies:
            await self._apply("networkpolicies", policy)
        else:
            await removal.remove(self._context, "networkpolicies", policy)
        await self._apply("repositories", render.repository(cluster, spec))
        facts = await self._certificates.keep(await self._credentials(facts))
        primary = facts.primary.name if facts.primary else await self._patroni.last_primary(facts)
        own = not facts.initialized and beginning.origin(facts) is Origin.OWN
        encrypted = facts.encryption is Mode.WHOLE
        told = render.config_map(cluster, spec, paused=paused(facts), primary=primary, own=own, encrypted=encrypted)
        await self._apply("configmaps", told)
        return facts

    async def _credentials(self, facts: ClusterFacts) -> ClusterFacts:
        """A fault if they were deleted: new passwords would not match those in PostgreSQL."""
        name = names.cluster_credentials(facts.name)
        found = await self._context.client.find(self._path("secrets", facts, name))
        if found is not None:
            left = facts.left or of_earlier({"kind": "Secret"} | found, facts.cluster)
            copied = (facts.initialized or facts.instances) and not found["metadata"].get("ownerReferences")
            if not left and not copied:  # what was put back from a copy need not have our labels
                owned.prove(found, render.new_credentials(facts.cluster))
            return dataclasses.replace(facts, credentials=found, left=left)
        if facts.initialized or facts.instances:
            fault = f"Secret {name} was deleted, and it held PostgreSQL's passwords; restore it from a copy"
            return dataclasses.replace(facts, fault=fault)
        try:
            namespace = facts.cluster["metadata"]["namespace"]
            await self._context.client.create(paths.of("secrets", namespace), render.new_credentials(facts.cluster))
        except errors.Conflict:
            log.info("the Secret already exists", name=name)
        return facts

    async def _apply(self, plural: str, obj: Object) -> None:
        path = paths.of(plural, obj["metadata"]["namespace"], obj["metadata"]["name"])
        age = self._applied.age(path, obj)
        if age is not None and age < TRUSTED_SECONDS:
            return
        found = await self._context.client.find(path)
        owned.prove(found, obj)
        if age is None or found is None:
            await self._context.client.apply(path, obj)
        self._applied.note(path, obj)

    async def _nodes(self, facts: ClusterFacts) -> ClusterFacts:
        """With the nodes that instances wait for."""
        caches, namespace, found = self._context.caches, facts.cluster["metadata"]["namespace"], []
        for one in facts.instances:
            labelled = caches.labelled(caches.postgres_pods, namespace, names.LABEL_INSTANCE, one.name)
            pods = await self._context.replica_sets.pods_of(one.deployment, labelled)
            lack = None if one.ready else await node_lookup.lack(self._context.client, namespace, pods, one.name)
            if lack is None and one.member.is_empty and not one.ready and facts.initialized and facts.primary is None:
                lack = await node_lookup.empty(self._context.client, namespace, one.name)
            found.append(dataclasses.replace(one, lack=lack))
        metrics.without_node((namespace, facts.name), sum(one.lack is not None for one in found))
        return dataclasses.replace(facts, instances=tuple(found))

    # --- one thing -----------------------------------------------------------------------------------------------

    async def _act(self, facts: ClusterFacts, action: Action) -> str:
        """Why it could not be done for want of something, or nothing."""
        client, namespace = self._context.client, facts.cluster["metadata"]["namespace"]
        match action:
            case Make(number, restarted):
                return await self._make(facts, number, restarted)
            case Remove(one):
                await self._remove(facts, one)
            case Configure(config):
                await self._patroni.configure(facts, config)
            case Clone():
                return await self._clone(facts)
            case KeepClone():
                return await self._filler.keep(facts)
            case RepeatClone(job):
                await self._filler.repeat(facts, job)
            case EndPod(pod):
                await self._filler.end_pod(facts, pod)
            case TakeClone(result):
                await self._filler.note(facts, result)
                return await self._make(facts, 1, "")
            case EndClone(remove, left):
                await self._filler.end(facts)  # first: else another pod of its Job could begin on the claim
                if left is not None:
                    await self._remove(facts, left)
                elif remove:
                    await self._remove_claim(facts, names.instance(facts.name, 1))
            case Switch(leader, candidate):
                await self._patroni.switch(facts, leader, candidate)
            case Rename(leader, standbys):
                await self._patroni.rename(facts, leader, standbys)
            case Recover(name, uid):  # it turns autofail off, and on again if that was so
                asked = request.restore(facts.cluster, name, uid, reenableAutofail=facts.spec.autofail)
                try:
                    await client.create(paths.of("restores", namespace), asked)
                except errors.Conflict:
                    log.info("the Restore already exists", name=name)
            case BackUp(name, expendable):
                try:
                    await client.create(paths.of("backups", namespace), render.backup(facts.cluster, name))
                except errors.Conflict:
                    log.info("the Backup already exists", name=name)
                for old, uid in expendable:
                    await client.delete(paths.of("backups", namespace, old), uid=uid)
        return ""

    async def _clone(self, facts: ClusterFacts) -> str:
        trouble = await self._filler.keep(facts)
        if not trouble:
            own = beginning.origin(facts) is Origin.OWN
            trouble, _ = await self._place(facts, 1, names.ORIGIN_OWN if own else "")
        if not trouble:
            await self._filler.start(facts)
        return trouble

    async def _make(self, facts: ClusterFacts, number: int, restarted: str) -> str:
        """Why it cannot be made yet, or nothing."""
        cluster, client = facts.cluster, self._context.client
        trouble, there = await self._place(facts, number, "")
        if trouble:
            return trouble
        begun = passwords.digest(facts.credentials) if facts.credentials else ""
        settings = self._context.settings
        tls = facts.encryption is not Mode.OFF
        deployment = instance.deployment(cluster, facts.spec, settings, number, restarted, begun, facts.asks, tls=tls)
        if there is not None:  # and no other that has taken its place meanwhile
            deployment["metadata"]["uid"] = there["metadata"]["uid"]
        await client.apply(self._path("deployments", facts, deployment["metadata"]["name"]), deployment)
        return ""

    async def _place(self, facts: ClusterFacts, number: int, origin: str) -> tuple[str, Object | None]:
        """Make an instance's volume claim. Why it cannot be made yet, or nothing; and its Deployment as it is."""
        cluster, client = facts.cluster, self._context.client
        claim = instance.claim(cluster, facts.spec, number, origin)
        volume = self._path("persistentvolumeclaims", facts, claim["metadata"]["name"])
        path = self._path("deployments", facts, claim["metadata"]["name"])
        there = {one["kind"]: one for one in (await client.find(volume), await client.find(path)) if one is not None}
        for one in there.values():
            trouble = of_earlier(one, cluster) or await self._stranger(facts, one)
            if trouble:
                return trouble, None
        self._in_the_way.pop((cluster["metadata"]["namespace"], facts.name), None)
        if claim["kind"] not in there:
            await client.create(volume.rpartition("/")[0], claim)
        return "", there.get("Deployment")

    async def _stranger(self, facts: ClusterFacts, found: Object) -> str:
        """Why *found* is not this cluster's, with an Event the first time; or nothing."""
        why = stranger(found, facts.cluster)
        if why:
            await self._tell_of_stranger(facts, why)
        return why

    async def _tell_of_stranger(self, facts: ClusterFacts, why: str) -> None:
        key = facts.cluster["metadata"]["namespace"], facts.name
        if self._in_the_way.get(key) != why:
            self._in_the_way[key] = why
            await self._context.recorder.warning(facts.cluster, "NotOurs", why)

    async def _remove(self, facts: ClusterFacts, one: Instance) -> None:
        """The claim first, which Kubernetes keeps until its pod has gone: ended in between, this is begun again."""
        await self._remove_claim(facts, one.name)
        path = self._path("deployments", facts, one.name)
        await self._context.client.delete(path, uid=one.deployment["metadata"]["uid"])

    async def _remove_claim(self, facts: ClusterFacts, name: str) -> None:
        client, path = self._context.client, self._path("persistentvolumeclaims", facts, name)
        claim = await client.find(path)
        if claim is not None and owned.is_instances_claim(claim, facts.cluster):
            await client.delete(path, uid=claim["metadata"]["uid"])
        elif claim is not None:
            await self._stranger(facts, claim)

    # --- what is said --------------------------------------------------------------------------------------------

    async def _tell(self, facts: ClusterFacts, decision: ClusterDecision) -> None:
        action = decision.action
        if action is None or isinstance(action, KeepClone):
            return
        reason = type(action).__name__
        await self._context.recorder.normal(facts.cluster, reason, decision.message)

    async def _report(self, facts: ClusterFacts, decision: ClusterDecision, kept: Kept) -> None:
        after = report.status(facts, decision, kept.trouble) | {passwords.FIELD: kept.entry}
        before = self._told.before(facts.cluster, after)
        for one in news.of(before, after):
            tell = self._context.recorder.normal if one.good else self._context.recorder.warning
            await tell(facts.cluster, one.reason, one.message)
        await status.write(self._context.client, "postgresclusters", facts.cluster, after)

    def _path(self, plural: str, facts: ClusterFacts, name: str) -> str:
        return paths.of(plural, facts.cluster["metadata"]["namespace"], name)
