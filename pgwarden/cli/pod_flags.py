"""Where pods run, as words of a command line: the podTemplate that they stand for. Pure."""

from __future__ import annotations

import argparse

from pgwarden.api.objects import Object
from pgwarden.cli.errors import UsageError
from pgwarden.cli.spec import Option

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
FLAGS = (
    Option(
        ("--toleration",),
        "taint of nodes that pods tolerate, as `kubectl taint` writes it; repeatable",
        "KEY[=VALUE][:EFFECT]",
        many=True,
        known_as=("--tolerations",),
    ),
    Option(
        ("--node-selector",),
        "label that nodes must have; repeatable",
        "KEY=VALUE",
        many=True,
        known_as=("--node-label", "--selector"),
    ),
    Option(("--priority-class",), "PriorityClass of the pods", "NAME", known_as=("--priority-class-name",)),
    Option(
        ("--image-pull-secret",),
        "Secret with which images are pulled; repeatable",
        "NAME",
        many=True,
        known_as=("--pull-secret", "--image-pull-secrets"),
    ),
)


def pod_template(args: argparse.Namespace) -> Object:
    """`{"podTemplate": …}`, or nothing where no flag was given."""
    spec: Object = {
        "tolerations": [_toleration(word) for word in args.toleration or ()],
        "nodeSelector": dict(_label(word) for word in args.node_selector or ()),
        "priorityClassName": args.priority_class,
        "imagePullSecrets": [{"name": name} for name in args.image_pull_secret or ()],
    }
    given = {name: value for name, value in spec.items() if value}
    return {"podTemplate": {"spec": given}} if given else {}


def _toleration(word: str) -> Object:
    taint, colon, effect = word.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (colon and effect not in _EFFECTS):
        raise UsageError(f"--toleration {word}: write KEY, KEY=VALUE or KEY=VALUE:EFFECT ({', '.join(_EFFECTS)})")
    found: Object = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    return found | ({"effect": effect} if effect else {})


def _label(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise UsageError(f"--node-selector {word}: write KEY=VALUE")
    return key, value
