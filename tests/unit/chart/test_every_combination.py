"""What holds for every rendered object under every combination of values in ci/."""

from __future__ import annotations

import re
import shutil
import tarfile

import pytest

QUANTITY = re.compile(r"^[0-9.]+(m|Ki|Mi|Gi)?$")
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}
API_VERSIONS = {
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "ConfigMap": "v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Deployment": "apps/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
}


@pytest.fixture
def rendered(render, combination):
    return render("--values", combination)


def test_rendering_twice_gives_the_same_bytes(helm, combination):
    assert helm.text("--values", combination) == helm.text("--values", combination)


def test_a_package_renders_the_same_bytes_as_the_folder(helm, chart, combination, package):
    assert helm.text("--values", combination, chart=package) == helm.text("--values", combination, chart=chart)


def test_upgrade_renders_the_same_bytes_as_install(helm, combination):
    assert helm.text("--values", combination, "--is-upgrade") == helm.text("--values", combination)


def test_objects_are_well_formed(rendered):
    seen = set()
    for obj in rendered.objects:
        kind, metadata = obj["kind"], obj["metadata"]
        assert obj["apiVersion"] == API_VERSIONS[kind]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", metadata["name"])
        assert len(metadata["name"]) <= 63
        assert ("namespace" not in metadata) == (kind in CLUSTER_SCOPED), f"{kind} {metadata['name']}"
        key = (kind, metadata.get("namespace"), metadata["name"])
        assert key not in seen
        seen.add(key)


def test_labels(rendered):
    for obj in rendered.objects:
        labels = obj["metadata"]["labels"]
        for name in ("name", "instance", "component", "version", "part-of", "managed-by"):
            assert labels[f"app.kubernetes.io/{name}"], obj["metadata"]["name"]
        assert labels["helm.sh/chart"].startswith("pgwarden-")
        assert all(isinstance(value, str) and len(value) <= 63 for value in labels.values())


def test_pods_meet_the_restricted_standard(rendered):
    found = list(rendered.pods())
    assert {name.split("/")[0] for name, _, _ in found} == {"Deployment", "Pod"}
    for name, _, spec in found:
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"].get("runAsUser") != 0
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert spec["enableServiceLinks"] is False
        for volume in spec.get("volumes", []):
            assert set(volume) - {"name"} <= {"emptyDir", "configMap", "secret", "projected"}
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            assert all("hostPort" not in port for port in container.get("ports", []))
            volumes = {volume["name"] for volume in spec["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_every_container_has_resources(rendered):
    for name, _, spec in rendered.pods():
        for container in spec["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), name
            assert "memory" in resources["limits"], name
            for side in resources.values():
                assert all(QUANTITY.match(str(quantity)) for quantity in side.values())
            assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume)


def test_deployments_select_their_own_pods_only(rendered):
    deployments = rendered.all("Deployment")
    for deployment in deployments:
        selector = deployment["spec"]["selector"]["matchLabels"]
        matching = [
            other["metadata"]["name"]
            for other in deployments
            if selector.items() <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matching == [deployment["metadata"]["name"]]


def test_what_selects_pods_selects_the_right_ones(rendered):
    labels = {
        deployment["metadata"]["name"]: deployment["spec"]["template"]["metadata"]["labels"]
        for deployment in rendered.all("Deployment")
    }
    selectors = {(o["kind"], o["metadata"]["name"]): o["spec"]["selector"] for o in rendered.all("Service")}
    selectors |= {
        (o["kind"], o["metadata"]["name"]): o["spec"]["selector"]["matchLabels"]
        for o in rendered.all("PodDisruptionBudget")
    }
    selectors |= {
        (o["kind"], o["metadata"]["name"]): o["spec"]["podSelector"]["matchLabels"]
        for o in rendered.all("NetworkPolicy")
    }
    assert selectors
    for (_, name), selector in selectors.items():
        assert [pod for pod, pod_labels in labels.items() if selector.items() <= pod_labels.items()] == [name]


def test_tokens_are_mounted_by_those_who_need_one_alone(rendered):
    accounts = {account["metadata"]["name"] for account in rendered.all("ServiceAccount")}
    assert all(account["automountServiceAccountToken"] is False for account in rendered.all("ServiceAccount"))
    for _, _, spec in rendered.pods():
        assert spec["serviceAccountName"] in accounts
        assert spec["automountServiceAccountToken"] is True


def test_bindings_bind_what_is_there(rendered):
    accounts = {
        ("ServiceAccount", a["metadata"]["name"], a["metadata"]["namespace"]) for a in rendered.all("ServiceAccount")
    }
    for kind in ("Role", "ClusterRole"):
        for binding in rendered.all(f"{kind}Binding"):
            assert binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
            rendered.one(kind, binding["roleRef"]["name"], binding["metadata"].get("namespace"))
            assert {(s["kind"], s["name"], s["namespace"]) for s in binding["subjects"]} <= accounts


def test_nothing_restarts_pods_without_need(rendered):
    """Neither the chart's version nor anything computed is in a pod template: only what changes the pods does."""
    for name, metadata, _ in rendered.pods():
        if name.startswith("Deployment/"):
            assert "helm.sh/chart" not in metadata["labels"]
            assert not any("checksum" in key for key in metadata.get("annotations", {}))


def test_own_pods_start_while_no_webhook_answers(rendered):
    """Whole-cluster stop and start with failurePolicy Fail: our pods never match our own webhook, for two reasons each."""
    webhook = next(
        w for w in rendered.all("MutatingWebhookConfiguration")[0]["webhooks"] if w["name"] == "pods.pgwarden.io"
    )
    (label,) = webhook["objectSelector"]["matchExpressions"]
    (namespaces,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (label["key"], label["operator"]) == ("pgwarden.io/repository", "Exists")
    assert namespaces["key"] == "kubernetes.io/metadata.name"
    assert namespaces["operator"] in {"In", "NotIn"}
    for name, metadata, _ in rendered.pods():
        assert label["key"] not in metadata["labels"], name
        assert (metadata["namespace"] in namespaces["values"]) == (namespaces["operator"] == "NotIn"), name
    # And the kinds that the other webhooks match are not among what brings a cluster up, or nobody waits for the answer.
    for configuration in rendered.all("MutatingWebhookConfiguration") + rendered.all("ValidatingWebhookConfiguration"):
        for other in configuration["webhooks"]:
            for rule in other["rules"]:
                ours = rule["apiGroups"] == ["pgwarden.io"]
                assert ours or other is webhook or (other["failurePolicy"], other["timeoutSeconds"]) == ("Ignore", 2)


def test_no_ca_bundle(rendered):
    assert "caBundle" not in re.sub(r"^\s*#.*$", "", rendered.text, flags=re.MULTILINE)


def test_no_key_material(rendered):
    assert not rendered.all("Secret")


def test_lint(helm, chart, combination):
    result = helm.run(
        "lint", "--strict", chart, "--namespace", "pgwarden-system", "--kube-version", "1.35.0", "--values", combination
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def package(helm, chart, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    result = helm.run("package", chart, "--destination", folder)
    assert result.returncode == 0, result.stderr
    (archive,) = folder.glob("pgwarden-*.tgz")
    return archive


def test_package_holds_the_crds_as_files(package, root):
    """The link is followed: a packaged chart needs no repository around it."""
    with tarfile.open(package) as archive:
        members = {member.name: member for member in archive.getmembers()}
        for file in (root / "crds").glob("*.yaml"):
            member = members[f"pgwarden/files/crds/{file.name}"]
            assert member.isreg()
            assert archive.extractfile(member).read() == file.read_bytes()
    assert not any(name.startswith("pgwarden/ci/") for name in members)


def test_chart_without_its_crds_says_so(helm, chart, tmp_path):
    copy = shutil.copytree(chart, tmp_path / "pgwarden", symlinks=True)
    (copy / "files" / "crds").unlink()
    assert "the chart holds no CRDs" in helm.refusal(chart=copy)
    assert helm.text("--set", "crds.enabled=false", chart=copy)


def test_templates_compute_nothing_that_differs_between_two_runs(chart):
    forbidden = re.compile(
        r"{{[^}]*\b(lookup|gen[A-Z]\w+|rand\w+|uuidv4|now|htpasswd|bcrypt|encryptAES|derivePassword|shuffle)\b"
    )
    for file in (chart / "templates").rglob("*.*"):
        assert not forbidden.search(file.read_text()), file.name
