"""Each of the field's manifests (manifests.py) is injected so that it will archive, or refused with all that is wrong and what
to do; and who does it is not refused again, nor silently left without backups.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pgwarden.injection.decide import Inject, Refuse
from pgwarden.injection.pipeline import decision_on

from .manifests import MANIFESTS, Is, Manifest, Refused


def pod_of(one: Manifest) -> dict[str, Any]:
    data = {"name": "data", "mountPath": one.at} | ({"subPath": one.sub_path} if one.sub_path else {})
    container: dict[str, Any] = {
        "name": one.container, "image": one.image, "env": list(one.env), "envFrom": list(one.env_from),
        "volumeMounts": [*([data] if one.at else []), *one.mounts], "ports": [{"containerPort": 5432}],
    }  # fmt: skip
    for name in ("command", "args"):
        if getattr(one, name):
            container[name] = list(getattr(one, name))
    if one.uid:
        container["securityContext"] = {"runAsUser": one.uid}
    return {
        "metadata": {"name": "pg-0", "namespace": "zoo", "labels": {"pgwarden.io/repository": "hippo"}},
        "spec": {"containers": [container, *one.beside], "volumes": [{"name": "data"} | one.on, *one.volumes]}
        | (one.pod or {}),
    }


def as_it_is(found: Inject, wanted: Is) -> Is:
    facts = found.facts
    said = next((text for text in found.warnings if wanted.warns and wanted.warns in text), " ".join(found.warnings))
    return Is(
        data=facts.data_directory, how=facts.configured_by, uid=facts.run_as_user,
        gid=facts.run_as_group if wanted.gid >= 0 else -1, user=facts.user, port=facts.port, socket=facts.socket_directory,
        by_reference=tuple(one.variable for one in facts.sources), given=found.recipe.given_password or found.recipe.password_file,
        container=facts.container, read=tuple(one.name for one in found.recipe.mounts),
        warns=wanted.warns if wanted.warns and wanted.warns in said else said,
    )  # fmt: skip


@pytest.mark.parametrize("one", MANIFESTS, ids=[one.name for one in MANIFESTS])
def test_it_will_archive_or_is_refused_with_all_that_it_takes(one: Manifest, repository, settings):
    decided = decision_on(pod_of(one), repository(), settings)
    if isinstance(one.right, Is):
        assert isinstance(decided, Inject), decided
        assert as_it_is(decided, one.right) == one.right
        return
    assert isinstance(decided, Refuse), decided
    said = [fault.message for fault in decided.faults]
    assert [text for text in one.right.says if not any(text in message for message in said)] == [], said
    unasked = [message for message in said if not any(text in message for text in one.right.says)]
    assert unasked == []


REFUSED = [one for one in MANIFESTS if isinstance(one.right, Refused) and one.right.then]


@pytest.mark.parametrize("one", REFUSED, ids=[one.name for one in REFUSED])
def test_who_does_what_is_asked_for_is_injected(one: Manifest, repository, settings):
    assert isinstance(one.right, Refused)
    decided = decision_on(pod_of(one), repository(postgres=one.right.does), settings)
    assert isinstance(decided, Inject), decided
    assert as_it_is(decided, one.right.then) == one.right.then


def test_the_counts_of_the_design_page_are_those_of_the_table():
    page = (Path(__file__).parents[3] / "docs" / "design" / "injection.md").read_text("utf-8")
    injected = sum(isinstance(one.right, Is) for one in MANIFESTS)
    counts = re.search(r"of (\d+) shapes (\d+) are injected and (\d+) refused", " ".join(page.split()))
    assert counts
    assert [*map(int, counts.groups())] == [len(MANIFESTS), injected, len(MANIFESTS) - injected]
    assert len({one.name for one in MANIFESTS}) == len(MANIFESTS)
