"""Other mutators change the pod after us, and we are asked again: nothing doubles, and one more look settles it."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st


def _environment(pod):
    for container in [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]:
        container.setdefault("env", []).insert(0, {"name": "TZ", "value": "UTC"})


def _mesh(pod):
    pod["spec"]["initContainers"].insert(0, {"name": "mesh-init", "image": "mesh"})
    pod["spec"]["containers"].insert(0, {"name": "mesh", "image": "mesh"})
    pod["spec"]["volumes"].insert(0, {"name": "mesh", "emptyDir": {}})


def _token(pod):
    pod["spec"]["volumes"].append({"name": "token", "projected": {}})
    for container in [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]:
        mount = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        container.setdefault("volumeMounts", []).insert(0, mount)


def _wrapper(pod):
    main = next(each for each in pod["spec"]["containers"] if each["name"] == "postgres")
    main["args"] = ["docker-entrypoint.sh", *main["args"]]
    main["command"] = ["/vault/env"]


def _annotations(pod):
    pod["metadata"]["annotations"]["mesh"] = "yes"


HARMLESS = [_environment, _mesh, _token, _wrapper, _annotations]


@hypothesis_settings(max_examples=60, deadline=None)
@given(order=st.lists(st.sampled_from(HARMLESS), unique=True))
def test_others_change_the_pod_and_we_have_nothing_to_add(order, pod, operations, applied):
    """Whatever they do, in whatever order, ours stands."""
    seen = applied(pod(), operations(pod()))
    for mutate in order:
        mutate(seen)
    assert operations(seen) == []


def _user(pod):
    pod["spec"]["securityContext"] = {"runAsUser": 1001}


def _label(pod):
    pod["metadata"]["labels"]["pgwarden.io/repository"] = "rhino"


def _no_sidecar(pod):
    pod["spec"]["initContainers"] = [one for one in pod["spec"]["initContainers"] if one["name"] != "pgwarden"]


def _of_an_earlier_version(pod):
    """It had a container of its own that copied the tools."""
    pod["spec"]["initContainers"].insert(0, {"name": "pgwarden-tools", "image": "pgwarden:old"})


def _old_tools_alone(pod):
    pod["spec"]["initContainers"] = [{"name": "pgwarden-tools", "image": "pgwarden:old"}]


@pytest.mark.parametrize("change", [_user, _label, _no_sidecar, _of_an_earlier_version, _old_tools_alone])
@pytest.mark.parametrize("mesh", [False, True])
def test_changed_facts_replace_ours_in_place(change, mesh, pod, operations, applied, repository):
    """Another user, another Repository (a copy of a live pod), a part of ours gone: mended once, then at rest."""
    seen = applied(pod(), operations(pod()))
    if mesh:
        _mesh(seen)
    change(seen)
    seen["metadata"]["annotations"].pop("pgwarden.io/injected")
    found = repository(seen["metadata"]["labels"]["pgwarden.io/repository"])
    mended = applied(seen, operations(seen, found))
    assert operations(mended, found) == []
    bare = pod()
    if change in {_user, _label}:
        change(bare)
    fresh = applied(bare, operations(bare, found))
    for part in ("initContainers", "volumes"):
        ours = [each for each in mended["spec"][part] if each["name"].startswith("pgwarden")]
        assert ours == [each for each in fresh["spec"][part] if each["name"].startswith("pgwarden")]
    main = next(each for each in mended["spec"]["containers"] if each["name"] == "postgres")
    assert main["args"] == fresh["spec"]["containers"][0]["args"]
    assert mended["metadata"]["annotations"] == fresh["metadata"]["annotations"]


def test_template_with_our_annotation_alone_is_injected(pod, operations):
    """Someone copied metadata: it is the sidecar that counts."""
    seen = pod()
    seen["metadata"]["annotations"] = {"pgwarden.io/injected": "0123456789abcdef"}
    paths = [operation["path"] for operation in operations(seen)]
    assert "/spec/initContainers" in paths
    assert "/metadata/annotations/pgwarden.io~1injected" in paths


def test_annotation_tells_injections_apart(pod, operations, repository):
    """The webhook compares it: another Repository's resources are another injection."""
    limits = repository(sidecarResources={"limits": {"memory": "1Gi"}})
    first, second = (operations(pod(), found)[-1]["value"] for found in (repository(), limits))
    assert first["pgwarden.io/injected"] != second["pgwarden.io/injected"]
    assert first["pgwarden.io/postgres"] == second["pgwarden.io/postgres"]
