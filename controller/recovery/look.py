"""Reading how a recovery stands: its Job, that Job's pods, and what the agent in it answers. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from controller import failed_create, owned
from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended
from controller.recovery.progress import Seen
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import calls
from pgwarden.contract.recovery import Recovery
from pgwarden.kube import paths


async def pods_of(context: Context, namespace: str, name: str, job: Object | None) -> list[Object]:
    """Of the *job* of that *name*; where there is none, of one that had it. A label alone is anybody's to give."""
    params = {"labelSelector": f"batch.kubernetes.io/job-name={name}"}
    found = [one async for one in context.client.items(paths.of("pods", namespace), params)]
    if job is None:
        return [one for one in found if owned.is_of_job(one, name)]
    return [one for one in found if owned.is_owned(one, job["metadata"]["uid"])]


async def said(context: Context, namespace: str, repository: str, pods: Iterable[Object]) -> Recovery | None:
    """How far it is, as its own agent says. Without its answer its Job and pods tell."""
    for pod in pods:
        address = pod.get("status", {}).get("podIP")
        if address and not has_ended(pod) and not is_going(pod):
            try:
                found = await context.agents.pod((namespace, repository), address, calls.status())
            except AgentError:
                return None
            return found.recovery
    return None


async def seen(context: Context, job: Object, repository: str) -> Seen:
    namespace = job["metadata"]["namespace"]
    pods = await pods_of(context, namespace, job["metadata"]["name"], job)
    refused = await failed_create.of_job(context.client, job, pods, context.clock())
    return Seen(job, tuple(pods), await said(context, namespace, repository, pods), refused)
