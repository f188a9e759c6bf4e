"""What users put on the pod of a backup's Job: `podLabels` and `podAnnotations`. Kubernetes would refuse the Job."""

from __future__ import annotations

import re

from pgwarden.api import names
from pgwarden.api.faults import brief
from pgwarden.api.judging import Case
from pgwarden.rules import taken_keys

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_LONGEST_NAME = 63


def check(case: Case) -> None:
    for field in ("podLabels", "podAnnotations"):
        for key, value in (case.get(dict, field) or {}).items():
            where = f"spec.{field}.{brief(key, 80)}"
            problem = _of_key(key)
            if problem:
                case.refuse(where, None, problem, "podMetadata")
            elif taken_keys.is_taken(key):
                case.refuse(where, None, "is set by pgwarden or Kubernetes; remove it", "podMetadata")
            elif field == "podLabels" and isinstance(value, str) and not _is_label(value):
                text = "must have at most 63 letters, digits, -, _ and ., a letter or digit at both ends"
                case.refuse(where, brief(value, 80), text, "podMetadata")


def _of_key(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and not names.is_object_name(prefix):
        return "must have a domain name before the slash, such as sidecar.istio.io/inject"
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return "must be a name of at most 63 letters, digits, -, _ and ., with or without a domain and a slash before"
    return ""


def _is_label(value: str) -> bool:
    return not value or (len(value) <= _LONGEST_NAME and _NAME.fullmatch(value) is not None)
