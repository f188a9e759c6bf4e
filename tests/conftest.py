"""Fixtures for every tier. Only the tiers that ask for `apiserver` or `cluster` start one."""

from __future__ import annotations

pytest_plugins = ["localcluster.pytest_plugin"]
