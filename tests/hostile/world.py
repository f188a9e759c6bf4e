"""A namespace with two Repositories, the rules as they are, and the property that every answer must have."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.webhook import shapes
from pgwarden import rules
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.injection.settings import Settings
from pgwarden.rules.deletion import deletable
from webhook import review
from webhook.handlers import Handlers
from webhook.review import Handler, Reply

SETTINGS = Settings(image="pgwarden.example/pgwarden:1")
REPOSITORIES = {(shapes.NAMESPACE, each["metadata"]["name"]): each for each in shapes.repositories()}


class Lookup:
    def repository(self, namespace: str, name: str) -> Any:
        return REPOSITORIES.get((namespace, name))

    def repositories(self) -> Any:
        return list(REPOSITORIES.values())

    def backups(self, *_: str) -> list[Any]:
        return []

    schedules = restores = clusters = backups


async def _nobody(namespace: str, name: str) -> None:
    """The API server knows no more than the cache."""


def handlers() -> Handlers:
    def judge(obj: Any, old: Any, now: datetime) -> Any:
        return rules.validate(obj, old=old, lookup=Lookup(), now=now, defaults=OperatorDefaults())

    return Handlers(
        SETTINGS, _nobody, judge, Lookup().repository, lambda obj, user: deletable(obj, lookup=Lookup(), user=user)
    )


def hold(body: bytes, status: int, content: bytes) -> str:
    """The property: a proper answer or 4xx, and no injection without its Repository. Returns what was answered."""
    answer = json.loads(content)
    if status != 200:
        assert status in {400, 413}
        assert answer["error"]
        return str(status)
    request = _read(body)
    response = answer["response"]
    assert answer["kind"] == "AdmissionReview"
    assert request is None or response["uid"] == request["uid"]
    if not response["allowed"]:
        assert response["status"]["code"] == 422
        assert response["status"]["message"]
        assert "patch" not in response
        return "refused"
    if "patch" not in response:
        return "allowed"
    if request is not None:
        metadata = request["object"]["metadata"]
        place = metadata.get("namespace") or request["namespace"], metadata["labels"]["pgwarden.io/repository"]
        assert place in REPOSITORIES
    named = response["auditAnnotations"]["repository"]
    assert (shapes.NAMESPACE, named) in REPOSITORIES
    assert re.search(rb'"pgwarden.io/repository"\s*:\s*"%s"' % named.encode(), body)
    for operation in json.loads(base64.b64decode(response["patch"])):
        taken_out = operation["op"] == "remove" and operation["path"].startswith("/spec/initContainers/")
        assert taken_out or operation["op"] in {"add", "replace"}
        assert operation["path"].startswith(("/spec/", "/metadata/annotations"))
    return "injected"


def _read(body: bytes) -> Any:
    """The request, as a lenient reader sees it; None where what nobody looks at is not even JSON to that one."""
    try:
        return json.loads(body.decode(errors="replace"), strict=False)["request"]
    except ValueError:
        return None


async def reply(body: bytes, handler: Handler) -> Reply:
    found = review.answer(body, handler)
    return found if isinstance(found, Reply) else await found


def of(reply: Reply, body: bytes) -> str:
    return hold(body, reply.status, reply.body)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096 / 1e6
