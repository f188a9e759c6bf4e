"""When a backup may begin, and in what kind of pod: options of `backup`, `create schedule` and `update schedule`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from pgwarden.api.objects import Object
from pgwarden.cli.errors import UsageError
from pgwarden.cli.spec import Option

#: What takes a setting off again, in `update schedule`.
NONE = "none"
OPTIONS = (
    Option(
        ("--deadline",),
        "seconds after which a running backup is stopped and fails; default, and 0, is no limit",
        "SECONDS",
        number=True,
        default=None,
        known_as=("--active-deadline", "--active-deadline-seconds", "--deadline-seconds"),
    ),
    Option(
        ("--not-during",),
        'no backup begins for this long each time that CRON fires, such as "0 8 * * 1-5=10h"; repeatable',
        "CRON=TIME",
        many=True,
        known_as=("--window", "--blackout", "--exclude"),
    ),
    Option(("--request",), "resource request of the Job, such as cpu=500m; repeatable", "NAME=AMOUNT", many=True),
    Option(("--limit",), "resource limit of the Job, such as memory=2Gi; repeatable", "NAME=AMOUNT", many=True),
    Option(("--pod-label",), "label of the Job's pod; repeatable", "KEY=VALUE", many=True),
    Option(
        ("--pod-annotation",),
        "annotation of the Job's pod, such as sidecar.istio.io/inject=false; repeatable",
        "KEY=VALUE",
        many=True,
        known_as=("--annotation", "--annotations"),
    ),
)


def spec(args: argparse.Namespace) -> Object:
    """What they say. With NONE, 0 and KEY- a field is null: a merge patch takes it off."""
    found: Object = {}
    if args.deadline is not None:
        found["activeDeadlineSeconds"] = args.deadline or None
    if args.not_during:
        found["notDuring"] = None if args.not_during == [NONE] else [_window(text) for text in args.not_during]
    resources = {
        name: _pairs(flag, given)
        for name, flag, given in (("requests", "--request", args.request), ("limits", "--limit", args.limit))
        if given
    }
    if resources:
        found["resources"] = resources
    for field, flag, given in (
        ("podLabels", "--pod-label", args.pod_label),
        ("podAnnotations", "--pod-annotation", args.pod_annotation),
    ):
        if given:
            found[field] = _pairs(flag, given)
    return found


def without_nulls(value: Object) -> Object:
    """Of what is created: there is nothing to take off."""
    return {key: without_nulls(one) if isinstance(one, dict) else one for key, one in value.items() if one is not None}


def _window(text: str) -> Object:
    schedule, equals, duration = text.rpartition("=")
    if not equals or not schedule.strip() or not duration.strip():
        raise UsageError(f'--not-during "{text}" must be CRON=TIME, such as "0 8 * * 1-5=10h"')
    return {"schedule": schedule.strip(), "duration": duration.strip()}


def _pairs(flag: str, given: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in given:
        key, equals, value = text.partition("=")
        removes = not equals and text.endswith("-")
        if not key or not (equals or removes):
            raise UsageError(f"{flag} {text} must be KEY=VALUE")
        found[text.removesuffix("-") if removes else key] = None if removes else value
    return found
