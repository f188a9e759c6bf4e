"""Reasons of conditions that more than the controller reads."""

from __future__ import annotations

#: No labelled pod is a primary that answers.
NO_PRIMARY = "NoPrimary"
#: A labelled pod runs a PostgreSQL of before those that pgwarden knows.
TOO_OLD = "PostgresTooOld"
#: Kubernetes does not create a pod (quota, limit, policy); has no node for it; cannot start one of its containers.
REFUSED, UNSCHEDULABLE, NOT_STARTING = "PodRefused", "PodUnschedulable", "PodNotStarting"
HELD = frozenset({REFUSED, UNSCHEDULABLE, NOT_STARTING})
