"""What the author of an object may: asked of the API server by SubjectAccessReviews, in the name of the requester.

Asked only where an object names something that it did not name before, and where a refusal leaves something out that
its reader may be allowed to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import structlog

from pgwarden.api import outside
from pgwarden.api.faults import Fault, brief
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient
from pgwarden.rules.named import Named, newly_named
from webhook import rights
from webhook.review import Request, UserInfo
from webhook.rights import Right

log = structlog.get_logger()
SECONDS = 2.0  # for all questions of one review, which run at once: the webhook itself has but a few
_AT_ONCE = 32  # questions of all reviews
#: Rights that one review asks for. The schema lets no object name as many: whoever sends one is no API server.
MOST = 64
_KIND = "SubjectAccessReview"


class Unanswered(Exception):
    """Nobody could say what the requester may; why, for its user."""


#: Whether somebody has a right. ApiError, ClientError or TimeoutError where that cannot be asked.
Ask = Callable[[UserInfo, Right], Awaitable[bool]]


class AccessReviews:
    """Asks the API server."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, user: UserInfo, right: Right) -> bool:
        async with self._slots:
            path = paths.of("subjectaccessreviews")
            answer = await self._client.request("POST", path, body=_review(user, right), timeout=SECONDS)
        return get(answer, bool, "status", "allowed") is True


class Requester:
    """*exempt* is the controller's own account: it hands on what the authors of its objects were asked about.

    *images* are those that the operator allows everybody.
    """

    def __init__(self, ask: Ask, exempt: str, images: Sequence[str] = ()) -> None:
        self._ask = ask
        self._exempt = exempt
        self._images = images

    def faults(self, request: Request[Any], obj: Object, old: Object | None) -> Awaitable[list[Fault]] | None:
        """What *obj*, whose form is right, names newly and its author may not use. None: nothing has to be asked."""
        if request.user_info.username == self._exempt:
            return None
        try:
            wanted = [
                (one, right)
                for one in newly_named(obj, old)
                if (right := rights.to_use(one, request.namespace, self._images)) is not None
            ]
        except outside.UNREADABLE as error:
            return _given([Fault("spec", None, f"cannot be read: {brief(str(error))}", rights.RULE)])
        return self._of(request, wanted) if wanted else None

    async def _of(self, request: Request[Any], wanted: Sequence[tuple[Named, Right]]) -> list[Fault]:
        user = request.user_info
        if len({right for _, right in wanted}) > MOST:
            return [Fault("spec", None, f"names more than {MOST} Secrets, service accounts and images", rights.RULE)]
        try:
            has = await self._may(user, (right for _, right in wanted))
        except Unanswered as error:
            return [rights.not_told(one, user.username, str(error)) for one, _ in wanted]
        return [
            rights.missing(one, right, user.username, request.kind.kind, self._images)
            for one, right in wanted
            if not has[right]
        ]

    async def told(self, request: Request[Any], faults: Sequence[Fault]) -> list[Fault]:
        """*faults* with what their reader may see of other namespaces; where that cannot be asked, without it."""
        about = [pair for fault in faults if fault.elsewhere for pair in fault.elsewhere.repositories]
        try:
            has = await self._may(request.user_info, (rights.to_look(*pair) for pair in about))
        except Unanswered:
            has = {}
        return [fault.told(lambda *pair: has.get(rights.to_look(*pair), False)) for fault in faults]

    async def _may(self, user: UserInfo, wanted: Iterable[Right]) -> Mapping[Right, bool]:
        """Each right once, all at the same time."""
        each = list(dict.fromkeys(wanted))[:MOST]
        try:
            async with asyncio.timeout(SECONDS):
                answers = await asyncio.gather(*(self._ask(user, right) for right in each))
        except (errors.ApiError, aiohttp.ClientError, TimeoutError) as error:
            reason = _reason(error)
            log.warning("access review failed", error=reason)
            raise Unanswered(reason) from error
        return dict(zip(each, answers, strict=True))


async def _given(faults: list[Fault]) -> list[Fault]:
    return faults


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"the API server gave no answer within {SECONDS:.0f} s"
    said = error.message if isinstance(error, errors.ApiError) else str(error)
    return f"the API server answered: {brief(said, 300)}" if said else "the API server cannot be reached"


def _review(user: UserInfo, right: Right) -> Object:
    attributes = {"verb": right.verb, "group": right.group, "resource": right.resource, "namespace": right.namespace}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": _KIND,
        "spec": {
            "user": user.username,
            "uid": user.uid,
            "groups": user.groups,
            "extra": user.extra,
            "resourceAttributes": attributes | {"name": right.name},
        },
    }
