"""Labels and annotations of pods that a user's object does not set: pgwarden, or the controllers that make pods, do.

What pgwarden selects pods by is among them: its Services, its caches, the repository host's affinity. So is what the
Services of single pods of a StatefulSet select.
"""

from __future__ import annotations

import re

from pgwarden.api import names

_TAKEN = re.compile(
    rf"([-a-z0-9.]+\.)?{re.escape(names.GROUP)}/.*|{re.escape(names.MANAGED_BY)}|batch\.kubernetes\.io/.*|"
    r"(statefulset|apps)\.kubernetes\.io/.*|job-name|controller-uid|pod-template-hash|controller-revision-hash|"
    r"pod-template-generation",
    re.DOTALL,
)


def is_taken(key: str) -> bool:
    return _TAKEN.fullmatch(key) is not None
