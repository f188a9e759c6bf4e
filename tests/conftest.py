"""Fixtures for every tier. Only the tiers that ask for `apiserver` or `cluster` start one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from harness.waiting import SLOWER

pytest_plugins = ["localcluster.pytest_plugin", "harness.installation"]

# An example's time says nothing on a machine that runs a cluster beside it. In CI a commit gets the same examples each
# time; at a desk new ones are looked for.
settings.register_profile("desk", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

HERE = Path(__file__).parent
#: Seconds that a test may take, with the fixtures that it begins: of each tier some five times what its slowest tests
#: take on an idle machine. A test that needs more says so, and why: `@pytest.mark.timeout(1500)  # reason`.
LIMITS = {"unit": 120, "hostile": 600, "apiserver": 300, "e2e": 900, "redteam": 300}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A limit in time for every test: at its end the stacks of all threads are shown, and the fixtures torn down."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMITS[item.path.relative_to(HERE).parts[0]] * SLOWER))
