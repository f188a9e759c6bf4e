"""Pods in, patches out: golden/NAME.yaml → golden/NAME.patch.json. PGWARDEN_UPDATE_GOLDEN=1 writes the latter anew."""

import json
import os

from pgwarden.injection import pods

UPDATE = os.environ.get("PGWARDEN_UPDATE_GOLDEN") == "1"


def test_patch_is_the_golden_one(golden, operations):
    """A change of what is injected is seen in review as a change of these files."""
    pod, found, path = golden
    text = json.dumps(operations(pod, found), indent=2) + "\n"
    if UPDATE:
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


def test_second_look_changes_nothing(golden, operations, applied):
    """patch(patch(x)) is empty: reinvocation is safe."""
    pod, found, _ = golden
    once = applied(pod, operations(pod, found))
    assert operations(once, found) == []


def test_all_of_the_user_survives(golden, operations, applied):
    """Nothing that was there is gone, changed or in another order: fields unknown to us included."""
    pod, found, _ = golden
    assert _lost(pod, applied(pod, operations(pod, found)), "") == []


def test_injected_pod_is_whole(golden, operations, applied):
    """Every mount has its volume, no name and no path stands twice, and ours satisfy restricted Pod Security."""
    pod, found, _ = golden
    spec = applied(pod, operations(pod, found))["spec"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    containers = [*spec["initContainers"], *spec["containers"]]
    assert len(set(volumes)) == len(volumes)
    assert len({each["name"] for each in containers}) == len(containers)
    for container in containers:
        mounts = container.get("volumeMounts", [])
        places = [pods.normal(mount["mountPath"]) for mount in mounts]
        assert len(set(places)) == len(places)
        assert {mount["name"] for mount in mounts} <= set(volumes)
    assert [each["name"] for each in spec["initContainers"]][:1] == ["pgwarden"]
    ours = spec["initContainers"][0]
    assert _restricted(ours["securityContext"])
    assert ours["resources"]["requests"]["memory"]
    assert ours["resources"]["limits"]["memory"]


def _restricted(context):
    return (
        context["runAsNonRoot"]
        and context["runAsUser"] > 0
        and not context["allowPrivilegeEscalation"]
        and context["capabilities"] == {"drop": ["ALL"]}
        and context["seccompProfile"] == {"type": "RuntimeDefault"}
    )


def _lost(before, after, path):
    """Paths of *before* that *after* lacks. A null is nothing; a list keeps its elements, in order, among others."""
    if before is None:
        return []
    if isinstance(before, dict):
        return [lost for key in before for lost in _lost(before[key], (after or {}).get(key), f"{path}/{key}")]
    if isinstance(before, list):
        rest = iter(after or [])
        return [f"{path}/{n}" for n, value in enumerate(before) if not any(not _lost(value, x, "") for x in rest)]
    return [] if before == after else [path]
