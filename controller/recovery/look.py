"""Reading how a recovery stands: its Job, that Job's pods, and what the agent in it answers. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended
from controller.recovery.progress import Seen
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.contract.recovery import Recovery
from pgwarden.kube import paths


async def pods_of(context: Context, namespace: str, job: str) -> list[Object]:
    params = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
    return [one async for one in context.client.items(paths.of("pods", namespace), params)]


async def said(context: Context, namespace: str, repository: str, pods: Iterable[Object]) -> Recovery | None:
    """How far it is, as its own agent says. Without its answer its Job and pods tell."""
    for pod in pods:
        address = pod.get("status", {}).get("podIP")
        if address and not has_ended(pod) and "deletionTimestamp" not in pod["metadata"]:
            try:
                found = await context.agents.pod((namespace, repository), address, calls.status())
            except AgentError:
                return None
            return found.recovery
    return None


async def seen(context: Context, job: Object, repository: str) -> Seen:
    namespace = job["metadata"]["namespace"]
    pods = await pods_of(context, namespace, job["metadata"]["name"])
    return Seen(job, tuple(pods), await said(context, namespace, repository, pods))
