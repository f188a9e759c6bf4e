"""Fixtures for every tier. Only the tiers that ask for `apiserver` or `cluster` start one."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["localcluster.pytest_plugin"]

# An example's time says nothing on a machine that runs a cluster beside it. In CI a commit gets the same examples each
# time; at a desk new ones are looked for.
settings.register_profile("desk", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
