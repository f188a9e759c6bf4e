"""What was applied last is known until its owner goes."""

from __future__ import annotations

from typing import Any

from controller.runtime.applied import Applied


def owned(by: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": f"{by}-x", "ownerReferences": [{"name": by}]}} | more


def test_the_same_object_is_known_with_its_age_and_another_is_not():
    now = [100.0]
    applied = Applied(lambda: now[0])
    assert applied.age("/x", owned("hippo")) is None
    applied.note("/x", owned("hippo"))
    now[0] += 7
    assert applied.age("/x", owned("hippo")) == 7
    assert applied.age("/x", owned("hippo", data={"a": "b"})) is None
    assert applied.age("/y", owned("hippo")) is None


def test_nothing_is_kept_of_an_owner_that_has_gone():
    applied = Applied()
    for path, name in (("/x", "hippo"), ("/y", "hippo"), ("/z", "zebra")):
        applied.note(path, owned(name))
    applied.forget(("ns", "hippo"))
    applied.forget(("ns", "nobody"))
    assert list(applied._known) == [("ns", "zebra")]
    assert applied.age("/z", owned("zebra")) is not None
