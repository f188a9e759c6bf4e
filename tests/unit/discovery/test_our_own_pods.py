"""What pgwarden makes itself is neither told of as unprotected nor refused in a namespace that requires a Repository."""

from __future__ import annotations

import pytest

from pgwarden.api import names
from pgwarden.discovery.likeness import likeness
from tests.unit.controller.test_pods_made import made

PODS = made()


@pytest.mark.parametrize("name", [name for name in PODS if name != "instance"])
def test_hosts_and_jobs_do_not_look_like_postgresql(name):
    assert likeness(PODS[name]) is None


def test_an_instance_looks_like_postgresql_and_names_its_repository():
    assert likeness(PODS["instance"]) is not None
    assert PODS["instance"]["metadata"]["labels"][names.LABEL_REPOSITORY] == "hippo"
