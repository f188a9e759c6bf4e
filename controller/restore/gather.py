"""Reading all that a decision is made from, fresh from the API server and from the agents. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from controller import failed_create, host_image, owned, patroni, pod_terms, stanza_info, turns
from controller.agents import AgentError
from controller.context import Context
from controller.pods import refused
from controller.recovery import look, target
from controller.recovery import plan as plans
from controller.recovery.plan import Plan
from controller.restore import cluster_members, steps, undone, workload
from controller.restore.carried_plans import Carried
from controller.restore.facts import Answers, Members, RestoreFacts, claims_of, pod_ip, pods_of, without
from controller.restore.steps import Need
from controller.runtime import conditions
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import moment
from pgwarden.contract import calls
from pgwarden.contract.status import Status
from pgwarden.kube import paths
from pgwarden.kube.client import find_named


async def gather(context: Context, restore: Object, answers: Answers, carried: Carried) -> RestoreFacts:
    """*carried* knows which plans on workloads are ours: with any other, a workload is as one without."""
    namespace, spec = restore["metadata"]["namespace"], msgspec.convert(restore["spec"], RestoreSpec)
    plan = plans.of_restore(restore)
    spec = target.of_its_storage(undone.spec_of(spec, plan))
    needs = steps.needs(restore, plan)
    read = _Reader(context, namespace)
    # While PostgreSQL is down each look counts. Reads go beside each other, but a workload's before its pods' and a
    # Job's before its own: what is begun between two reads must not be missed.
    repository, workloads = await asyncio.gather(
        read.find("repositories", spec.repository), read.workloads(plan, carried)
    )
    operations = await read.operations(spec.repository) if plan is None else ()
    # What a vanished Restore has left counts like a plan of ours until it is undone.
    left = None if plan else workload.left_by_vanished(workloads, spec.repository, operations)
    operation = plan or left
    job_name = names.restore_job(operation.restore if operation else restore["metadata"]["name"])
    job = await read.find("jobs", job_name)
    down = plan is not None and any(workload.is_stopped(plan, one) for one in workloads)
    pods, claims, (info, info_error), job_pods, members, backup = await asyncio.gather(
        read.pods(None if Need.ALL_PODS in needs else spec.repository),
        read.claims(plan),
        read.info(spec, repository if Need.HOST in needs and not down else None),
        look.pods_of(context, namespace, job_name, job),
        read.members(repository if Need.MEMBERS in needs else None),
        read.backup(plan if Need.BACKUP in needs else None),
    )
    strangers = await read.strangers(operation, workloads, pods)
    asked = Need.AGENT in needs or left is not None
    wanted = Need.RECOVERY in needs and job is not None
    (agent, agent_error), recovery, volumes = await asyncio.gather(
        read.agent(spec.repository, operation if asked else None, without(pods, strangers)),
        look.said(context, namespace, spec.repository, job_pods if wanted else ()),
        read.volumes(_meant(claims, pods, operation), operation),
    )
    return RestoreFacts(
        now=context.clock(),
        settings=host_image.settings(context, (namespace, spec.repository)),
        restore=restore,
        spec=spec,
        plan=plan,
        repository=repository,
        repo_spec=msgspec.convert(repository["spec"], RepositorySpec) if repository else RepositorySpec(),
        operations=operations,
        workloads=tuple(workloads),
        pods=tuple(pods),
        unproven=workload.unproven(pods, workloads, spec.repository) if plan is None else frozenset(),
        strangers=strangers,
        claims=claims,
        volumes=volumes,
        job=job,
        job_pods=tuple(job_pods),
        job_refused=await read.refused_job(job if wanted else None, job_pods),
        workload_refused=await read.refused_workload(plan if _is_late(context, restore) else None, workloads, pods),
        asks=pod_terms.asked(context, namespace),
        missing_class=await read.missing_class(spec) if plan is None else "",
        backup=backup,
        info=info,
        info_error=info_error,
        members=members,
        agent=agent,
        agent_error=agent_error,
        recovery=recovery,
        answers=answers,
    )


def _is_late(context: Context, restore: Object) -> bool:
    """Whether the workload has been to run again for longer than Kubernetes takes to create a pod."""
    swapped = conditions.find((restore.get("status") or {}).get("conditions", []), "Swapped") or {}
    at = moment(swapped.get("lastTransitionTime")) if swapped.get("status") == "True" else None
    return at is not None and context.clock() - at > failed_create.SOON


def _meant(claims: Mapping[str, Object], pods: Iterable[Object], plan: Plan | None) -> list[Object]:
    """Of a whole namespace's claims, those whose volumes matter."""
    labelled = [pod for pod in pods if names.LABEL_REPOSITORY in pod["metadata"].get("labels", {})]
    wanted = set().union(*(claims_of(pod) for pod in labelled))
    if plan is not None:
        wanted |= {plan.claim, plan.new_claim, plan.kept_claim, plan.failed_claim}
    return [claim for name, claim in claims.items() if name in wanted]


class _Reader:
    def __init__(self, context: Context, namespace: str) -> None:
        self._context = context
        self._namespace = namespace

    async def find(self, plural: str, name: str) -> Object | None:
        return await find_named(self._context.client, plural, self._namespace, name)

    async def items(self, plural: str, **params: str) -> list[Object]:
        return [one async for one in self._context.client.items(paths.of(plural, self._namespace), params)]

    async def operations(self, repository: str) -> tuple[Object, ...]:
        return tuple(await turns.listed(self._context.client, self._namespace, repository))

    async def workloads(self, plan: Plan | None, carried: Carried) -> list[Object]:
        if plan is None:
            listed = carried.look(self._namespace, whole=True)
            return [one if found else carried.without(one) async for one, found in listed]
        if not plan.in_place:
            return []
        found = await self.find(workload.PLURALS[plan.workload_kind], plan.workload)
        return [{"kind": plan.workload_kind} | found] if found else []

    async def members(self, repository: Object | None) -> Members | None:
        """The PostgresCluster that *repository* belongs to, and its instances."""
        owners = (repository or {}).get("metadata", {}).get("ownerReferences", [])
        by = next((one for one in owners if one["kind"] == cluster_members.KIND), None)
        found = await self.find("postgresclusters", by["name"]) if by else None
        if by is None or found is None or found["metadata"]["uid"] != by["uid"]:
            return None
        name, uid = by["name"], by["uid"]
        selector = f"{names.LABEL_CLUSTER}={name}"
        instances = f"{selector},{names.LABEL_INSTANCE}"
        deployments = await self.items("deployments", labelSelector=instances)
        claims, listed, of_instances = await asyncio.gather(
            self.items("persistentvolumeclaims", labelSelector=instances),
            self.items("configmaps", labelSelector=selector),
            self.items("pods", labelSelector=selector),
        )
        maps = {one["metadata"]["name"]: one for one in listed}
        store = patroni.store(name, maps)
        ours = tuple(one for one in deployments if owned.is_owned(one, uid))
        holder = await self._instance_of(ours, [one for one in of_instances if one["metadata"]["name"] == store.leader])
        last = (maps.get(names.cluster_patroni(name), {}).get("data") or {}).get("primary", "")
        return Members(
            cluster=found,
            primary=holder or last,
            lock=store.leader,
            paused=store.paused,
            noted=patroni.noted(name, maps),
            deployments=ours,
            claims=tuple(one for one in claims if owned.is_instances_claim(one, found)),
        )

    async def _instance_of(self, deployments: Iterable[Object], pods: list[Object]) -> str:
        """Which of *deployments* runs one of *pods*; empty where none does."""
        for one in deployments:
            if await self._context.replica_sets.pods_of(one, pods):
                return str(one["metadata"]["name"])
        return ""

    async def backup(self, plan: Plan | None) -> Object | None:
        return await self.find("backups", plan.backup_after) if plan else None

    async def pods(self, repository: str | None) -> list[Object]:
        if repository is None:
            return await self.items("pods")
        return await self.items("pods", labelSelector=f"{names.LABEL_REPOSITORY}={repository}")

    async def strangers(self, plan: Plan | None, workloads: list[Object], pods: list[Object]) -> frozenset[str]:
        """Of the pods that name the workload of *plan* as their owner, which anybody may write, those that it does not
        run. None of them is believed; but they are waited for where a volume must be free.
        """
        of = (plan.workload_kind, plan.workload) if plan is not None else ("", "")
        found = next((one for one in workloads if (one["kind"], one["metadata"]["name"]) == of), None)
        named = pods_of(pods, *of)
        if plan is None or found is None or not named:
            return frozenset()
        if plan.workload_kind == "StatefulSet":
            own = [pod for pod in named if owned.controller(pod, "StatefulSet").get("uid") == found["metadata"]["uid"]]
        else:
            own = await self._context.replica_sets.pods_of(found, named)
        return frozenset(pod["metadata"]["name"] for pod in named if pod not in own)

    async def claims(self, plan: Plan | None) -> dict[str, Object]:
        if plan is None:
            listed = await self.items("persistentvolumeclaims")
            return {claim["metadata"]["name"]: claim for claim in listed}
        wanted = {plan.new_claim}
        if plan.in_place:
            wanted |= {plan.claim, plan.kept_claim, plan.failed_claim}
        found = await asyncio.gather(*(self.find("persistentvolumeclaims", name) for name in sorted(wanted)))
        return {claim["metadata"]["name"]: claim for claim in found if claim}

    async def volumes(self, claims: Iterable[Object], plan: Plan | None) -> dict[str, Object]:
        wanted = {claim["spec"].get("volumeName", "") for claim in claims}
        if plan is not None:
            wanted |= {volume.name for volume in (plan.old_volume, plan.new_volume) if volume}
        client = self._context.client
        found = await asyncio.gather(*(find_named(client, "persistentvolumes", "", n) for n in sorted(wanted - {""})))
        return {volume["metadata"]["name"]: volume for volume in found if volume}

    async def missing_class(self, spec: RestoreSpec) -> str:
        """The StorageClass that spec.newVolume names, where there is none of that name."""
        name = spec.new_volume.storage_class_name if spec.new_volume else ""
        return name if name and await find_named(self._context.client, "storageclasses", "", name) is None else ""

    async def info(self, spec: RestoreSpec, repository: Object | None) -> tuple[Object | None, str]:
        """The stanza's element of `pgbackrest info`, by the repository host's agent."""
        if repository is None:
            return None, ""
        name = spec.repository
        listed = await self.items("pods", labelSelector=f"{names.LABEL_OWNER_REPOSITORY}={name}")
        pods = await self._context.hosts(self._namespace, name, listed)
        as_of = target.as_of(spec, msgspec.convert(repository["spec"], RepositorySpec))
        if as_of is not None:
            return await stanza_info.ask_as_of(self._context, (self._namespace, name), pods, *as_of)
        answer, error = await stanza_info.ask(self._context, (self._namespace, name), pods)
        if answer is None:
            return None, error
        return answer.info, error or ("" if answer.info else "no backup yet")

    async def refused_job(self, job: Object | None, pods: list[Object]) -> str:
        return await failed_create.of_job(self._context.client, job, pods, self._context.clock())

    async def refused_workload(self, plan: Plan | None, workloads: list[Object], pods: list[Object]) -> str:
        """Of one that is to run again, and has no pod."""
        found = next((one for one in workloads if plan and workload.is_started(plan, one)), None)
        if plan is None or found is None or pods_of(pods, plan.workload_kind, plan.workload):
            return ""
        return refused(found) or await failed_create.of(self._context.client, found, self._context.clock())

    async def agent(self, repository: str, plan: Plan | None, pods: Iterable[Object]) -> tuple[Status | None, str]:
        """What the agent beside the restarted PostgreSQL says."""
        if plan is None:
            return None, ""
        pod = next((p for p in pods_of(pods, plan.workload_kind, plan.workload) if pod_ip(p)), None)
        if pod is None:
            return None, "there is no pod with an IP address"
        try:
            return await self._context.agents.pod((self._namespace, repository), pod_ip(pod), calls.status()), ""
        except AgentError as error:
            return None, str(error)
