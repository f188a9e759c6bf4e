"""The default installation, and what single values change in it."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import jsonschema
import pytest
import yaml

from pgwarden import storages

ROOT = Path(__file__).parents[3]

REPOSITORY_LABEL = "pgwarden.io/repository"


def environment(rendered, component, release="pgwarden"):
    (container,) = rendered.one("Deployment", f"{release}-{component}")["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def container(rendered, component):
    return rendered.one("Deployment", f"pgwarden-{component}")["spec"]["template"]["spec"]["containers"][0]


def test_names_of_all_objects(render):
    found = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in render().objects}
    system = "pgwarden-system"
    assert found == {
        ("ServiceAccount", system, "pgwarden-webhook"),
        ("ServiceAccount", system, "pgwarden-controller"),
        ("ClusterRole", "", "pgwarden-webhook"),
        ("ClusterRole", "", "pgwarden-controller"),
        ("ClusterRole", "", "pgwarden-view"),
        ("ClusterRole", "", "pgwarden-edit"),
        ("ClusterRoleBinding", "", "pgwarden-webhook"),
        ("ClusterRoleBinding", "", "pgwarden-controller"),
        ("Role", system, "pgwarden-webhook"),
        ("Role", system, "pgwarden-controller"),
        ("RoleBinding", system, "pgwarden-webhook"),
        ("RoleBinding", system, "pgwarden-controller"),
        ("Deployment", system, "pgwarden-webhook"),
        ("Deployment", system, "pgwarden-controller"),
        ("Service", system, "pgwarden-webhook"),
        ("PodDisruptionBudget", system, "pgwarden-webhook"),
        ("NetworkPolicy", system, "pgwarden-webhook"),
        ("NetworkPolicy", system, "pgwarden-controller"),
        ("MutatingWebhookConfiguration", "", "pgwarden"),
        ("ValidatingAdmissionPolicy", "", "pgwarden-controller"),
        ("ValidatingAdmissionPolicy", "", "pgwarden-instances"),
        ("ValidatingAdmissionPolicy", "", "pgwarden-require"),
        ("ValidatingAdmissionPolicy", "", "pgwarden-require-label"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-require-audit"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-require-enforce"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-require-label"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-require-warn"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-require-workloads"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-controller"),
        ("ValidatingAdmissionPolicyBinding", "", "pgwarden-instances"),
        ("ValidatingWebhookConfiguration", "", "pgwarden"),
        ("CustomResourceDefinition", "", "repositories.pgwarden.io"),
        ("CustomResourceDefinition", "", "backups.pgwarden.io"),
        ("CustomResourceDefinition", "", "backupschedules.pgwarden.io"),
        ("CustomResourceDefinition", "", "restores.pgwarden.io"),
        ("CustomResourceDefinition", "", "restoredrills.pgwarden.io"),
        ("CustomResourceDefinition", "", "restoredrillschedules.pgwarden.io"),
        ("CustomResourceDefinition", "", "postgresclusters.pgwarden.io"),
        # Only while `helm test` runs:
        ("ServiceAccount", system, "pgwarden-selftest"),
        ("ConfigMap", system, "pgwarden-selftest"),
        ("Role", system, "pgwarden-selftest"),
        ("RoleBinding", system, "pgwarden-selftest"),
        ("Role", "default", "pgwarden-selftest"),
        ("RoleBinding", "default", "pgwarden-selftest"),
        ("Pod", system, "pgwarden-selftest"),
    }


#: What only one of them is told.
OF_ITS_OWN = {
    "webhook": {
        "PGWARDEN_WEBHOOK_SERVER": "fast",
        "PGWARDEN_CHECK_REQUESTER": "true",
        "PGWARDEN_CONTROLLER_ACCOUNT": "pgwarden-controller",
        "PGWARDEN_POSTGRES_IMAGES": "",
    },
    "controller": {
        "PGWARDEN_POSTGRES_IMAGE": "pgwarden-patroni:17",
        "PGWARDEN_NETWORK_POLICIES": "true",
        "PGWARDEN_MESH_PORTS": "15008,4143",
    },
}


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_environment(render, component):
    assert environment(render(), component) == OF_ITS_OWN[component] | {
        "PGWARDEN_IMAGE": "pgwarden:0.2.0-dev",
        "PGWARDEN_IMAGE_PULL_POLICY": "IfNotPresent",
        "PGWARDEN_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "PGWARDEN_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "PGWARDEN_TLS_SECRET": "pgwarden-webhook-tls",
        "PGWARDEN_WEBHOOK_SERVICE": "pgwarden-webhook",
        "PGWARDEN_MUTATING_WEBHOOK": "pgwarden",
        "PGWARDEN_VALIDATING_WEBHOOK": "pgwarden",
        "PGWARDEN_LEASE": "pgwarden-controller",
        "PGWARDEN_S3_BUCKET": "",
        "PGWARDEN_S3_ENDPOINT": "",
        "PGWARDEN_S3_REGION": "",
        "PGWARDEN_CLUSTER_DOMAIN": "cluster.local",
        "PGWARDEN_WATCH_NAMESPACES": "",
        "PGWARDEN_LOG_LEVEL": "info",
    }


def test_every_variable_that_they_are_told_is_read(render):
    """A value of the chart that nobody reads is a promise that nobody keeps."""
    rooms = [ROOT / room for room in ("pgwarden", "webhook", "controller")]
    sources = [path.read_text("utf-8") for room in rooms for path in room.rglob("*.py")]
    defaults = {f"PGWARDEN_{field.upper()}" for field in storages.default_fields()}  # read by their storage's name
    for component in ("webhook", "controller"):
        for name in set(environment(render(), component)) - defaults:
            assert any(f'"{name}"' in source for source in sources), name


def test_webhook_deployment(render):
    spec = render().one("Deployment", "pgwarden-webhook")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 30
    assert {c["topologyKey"]: c["whenUnsatisfiable"] for c in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname": "ScheduleAnyway",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }
    webhook = container(render(), "webhook")
    assert webhook["command"] == ["python3", "-m", "webhook"]
    assert {p["name"]: p["containerPort"] for p in webhook["ports"]} == {"https": 10250, "http": 8080}
    assert webhook["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert (
        webhook["startupProbe"]["httpGet"] == webhook["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    )
    assert webhook["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_controller_deployment(render):
    assert render().one("Deployment", "pgwarden-controller")["spec"]["replicas"] == 1
    controller = container(render(), "controller")
    assert controller["command"] == ["python3", "-m", "controller"]
    assert {p["name"]: p["containerPort"] for p in controller["ports"]} == {"http": 8080}
    assert controller["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("component", ["controller", "webhook"])
def test_a_node_without_cpu_has_minutes_before_it_kills(render, component):
    """Killed for want of CPU it would need more of it to start than it did to live."""
    found = container(render(), component)
    patience = {
        name: found[name]["periodSeconds"] * found[name]["failureThreshold"]
        for name in ("startupProbe", "livenessProbe")
    }
    assert patience == {"startupProbe": 300, "livenessProbe": 180}


def test_prestop_where_the_sleep_action_is_not_there_yet(render):
    assert container(render(kubernetes="1.29.4"), "webhook")["lifecycle"] == {
        "preStop": {"exec": {"command": ["sleep", "5"]}}
    }
    assert container(render(kubernetes="v1.30.2-gke.100"), "webhook")["lifecycle"] == {
        "preStop": {"sleep": {"seconds": 5}}
    }


def test_kubernetes_older_than_1_29_is_refused(helm):
    assert "1.29" in helm.refusal(kubernetes="1.28.9")
    assert helm.text(kubernetes="1.29.0-eks-1")


def test_service_budget_and_network_policies(render):
    rendered = render()
    (port,) = rendered.one("Service", "pgwarden-webhook")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")
    assert rendered.one("PodDisruptionBudget", "pgwarden-webhook")["spec"]["maxUnavailable"] == 1
    webhook, controller = (rendered.one("NetworkPolicy", f"pgwarden-{c}")["spec"] for c in ("webhook", "controller"))
    assert webhook["policyTypes"] == controller["policyTypes"] == ["Ingress"]
    assert [[p["port"] for p in rule["ports"]] for rule in webhook["ingress"]] == [["https"], ["http"]]
    assert [[p["port"] for p in rule["ports"]] for rule in controller["ingress"]] == [["http"]]
    assert not any("from" in rule for rule in webhook["ingress"] + controller["ingress"])


def test_the_webhook_is_reached_by_those_that_the_operator_names(render):
    cidr = {"ipBlock": {"cidr": "10.0.0.0/28"}}
    rendered = render("--set-json", 'networkPolicy.webhookFrom=[{"ipBlock": {"cidr": "10.0.0.0/28"}}]')
    https, http = rendered.one("NetworkPolicy", "pgwarden-webhook")["spec"]["ingress"]
    assert https["from"] == [cidr]
    assert "from" not in http
    assert not any("from" in rule for rule in rendered.one("NetworkPolicy", "pgwarden-controller")["spec"]["ingress"])


def test_both_are_told_the_namespaces_to_watch(render):
    rendered = render("--set", "watchNamespaces={a,b}")
    told = {environment(rendered, component)["PGWARDEN_WATCH_NAMESPACES"] for component in ("webhook", "controller")}
    assert told == {"a,b"}


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "pgwarden-system", "legacy"])
def test_a_namespace_in_which_nothing_is_injected_cannot_be_watched(helm, namespace):
    said = helm.refusal("--set", f"watchNamespaces={{a,{namespace}}},webhook.excludedNamespaces={{legacy}}")
    assert f"watchNamespaces names {namespace}" in said


def test_image(render):
    digest = "sha256:" + "a" * 64
    by_tag = render("--set", "image.repository=localhost/pgwarden,image.tag=dev,image.pullPolicy=Never")
    by_digest = render("--set", f"image.tag=dev,image.digest={digest}")
    for rendered, image in ((by_tag, "localhost/pgwarden:dev"), (by_digest, f"pgwarden@{digest}")):
        assert {c["image"] for _, _, spec in rendered.pods() for c in spec["containers"]} == {image}
        assert environment(rendered, "webhook")["PGWARDEN_IMAGE"] == image
    assert {c["imagePullPolicy"] for _, _, spec in by_tag.pods() for c in spec["containers"]} == {"Never"}
    assert environment(by_tag, "controller")["PGWARDEN_IMAGE_PULL_POLICY"] == "Never"


@pytest.mark.parametrize(
    ("image", "without_tag"),
    [
        ("", "pgwarden-patroni"),
        ("localhost:5000/pg", "localhost:5000/pg"),
        ("localhost:5000/pg:17", "localhost:5000/pg"),
        (f"registry/pg:17@sha256:{'b' * 64}", "registry/pg"),
    ],
)
def test_a_digest_of_the_postgres_image_wins_over_its_tag(render, image, without_tag):
    digest = "sha256:" + "a" * 64
    by_tag = render("--set", f"postgresImage={image}")
    by_digest = render("--set", f"postgresImage={image},postgresImages.digest={digest}")
    assert environment(by_tag, "controller")["PGWARDEN_POSTGRES_IMAGE"] == (image or "pgwarden-patroni:17")
    assert environment(by_digest, "controller")["PGWARDEN_POSTGRES_IMAGE"] == f"{without_tag}@{digest}"


def test_pull_secrets_reach_every_pod(render):
    rendered = render("--set", "imagePullSecrets[0].name=registry")
    assert all(spec["imagePullSecrets"] == [{"name": "registry"}] for _, _, spec in rendered.pods())


def test_user_id(render):
    assert all(spec["securityContext"]["runAsUser"] == 65532 for _, _, spec in render().pods())
    assert not any("runAsUser" in spec["securityContext"] for _, _, spec in render("--set", "runAsUser=null").pods())


def test_s3_defaults(render, chart):
    env = environment(render("--values", chart / "ci" / "s3-values.yaml"), "controller")
    assert [env[f"PGWARDEN_S3_{name}"] for name in ("BUCKET", "ENDPOINT", "REGION")] == [
        "backups",
        "minio.storage.svc:9000",
        "eu-central-1",
    ]


def test_high_availability(render, chart):
    rendered = render("--values", chart / "ci" / "ha-values.yaml")
    assert rendered.one("Deployment", "pgwarden-webhook")["spec"]["replicas"] == 3
    controller = rendered.one("Deployment", "pgwarden-controller")["spec"]
    assert controller["replicas"] == 2
    assert controller["template"]["spec"]["priorityClassName"] == "system-cluster-critical"
    assert controller["template"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert controller["template"]["spec"]["tolerations"][0]["operator"] == "Exists"
    assert controller["template"]["spec"]["topologySpreadConstraints"]
    assert "podAntiAffinity" in rendered.one("Deployment", "pgwarden-webhook")["spec"]["template"]["spec"]["affinity"]


@pytest.mark.parametrize("value", ["enabled", "workloads"])
def test_the_controller_makes_no_network_policies_where_they_are_switched_off(render, value):
    told = environment(render("--set", f"networkPolicy.{value}=false"), "controller")
    assert told["PGWARDEN_NETWORK_POLICIES"] == "false"


def test_the_controller_is_told_the_ports_of_a_mesh(render):
    told = environment(render("--set", "networkPolicy.meshPorts={15001}"), "controller")
    assert told["PGWARDEN_MESH_PORTS"] == "15001"


def test_switches(render, chart):
    assert not render("--values", chart / "ci" / "no-networkpolicy-values.yaml").all("NetworkPolicy")
    assert not render("--values", chart / "ci" / "crds-off-values.yaml").all("CustomResourceDefinition")
    assert not render().all("PodMonitor")
    rest = render("--values", chart / "ci" / "everything-else-values.yaml")
    assert not rest.all("PodDisruptionBudget")
    assert {role["metadata"]["name"] for role in rest.all("ClusterRole")} == {"pgwarden-webhook", "pgwarden-controller"}


def test_monitoring(render, chart):
    rendered = render("--values", chart / "ci" / "monitoring-values.yaml")
    monitor = rendered.one("PodMonitor", "pgwarden")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
    (wanted,) = monitor["spec"]["selector"]["matchExpressions"]
    for name in ("webhook", "controller"):
        labels = rendered.one("Deployment", f"pgwarden-{name}")["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels[wanted["key"]] in wanted["values"]
        metrics = rendered.one("NetworkPolicy", f"pgwarden-{name}")["spec"]["ingress"][-1]
        assert metrics["from"] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        ]


@pytest.mark.parametrize(
    ("release", "arguments", "name"),
    [
        ("pgwarden", (), "pgwarden"),
        ("my-pgwarden", (), "my-pgwarden"),
        ("prod", (), "prod-pgwarden"),
        ("prod", ("--set", "nameOverride=warden"), "prod-warden"),
        ("prod", ("--set", "fullnameOverride=dr"), "dr"),
        ("r" * 53, (), "r" * 40),
        ("123", ("--set", "fullnameOverride=dr"), "dr"),
    ],
)
def test_names_follow_the_release(render, release, arguments, name):
    rendered = render(*arguments, release=release)
    env = environment(rendered, "controller", name)
    assert env["PGWARDEN_TLS_SECRET"] == f"{name}-webhook-tls"
    assert rendered.one("MutatingWebhookConfiguration", env["PGWARDEN_MUTATING_WEBHOOK"])
    assert rendered.one("ValidatingWebhookConfiguration", env["PGWARDEN_VALIDATING_WEBHOOK"])
    assert rendered.one("Service", env["PGWARDEN_WEBHOOK_SERVICE"])
    for configuration in rendered.all("MutatingWebhookConfiguration") + rendered.all("ValidatingWebhookConfiguration"):
        assert {w["clientConfig"]["service"]["name"] for w in configuration["webhooks"]} == {f"{name}-webhook"}
    assert all(
        label == release
        for o in rendered.objects
        for k, label in o["metadata"]["labels"].items()
        if k == "app.kubernetes.io/instance"
    )


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_the_clusters_own_namespaces_are_refused(helm, namespace):
    assert f"pgwarden cannot be installed into {namespace}" in helm.refusal(namespace=namespace)


@pytest.mark.parametrize("release", ["123", "my.release"])
def test_a_release_that_no_service_can_be_named_after_is_refused(helm, release):
    assert "Set fullnameOverride" in helm.refusal(release=release)


def test_grace_period_must_cover_the_drain(helm):
    message = helm.refusal("--set", "webhook.terminationGracePeriodSeconds=10")
    assert (
        "webhook.terminationGracePeriodSeconds (10) must be more than webhook.preStopSeconds + webhook.timeoutSeconds (5 + 5)"
        in message
    )
    assert helm.text("--set", "webhook.terminationGracePeriodSeconds=11")


# --- CRDs ---------------------------------------------------------------------------------------------------


def crd_files(root):
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted((root / "crds").glob("*.yaml"))}


def test_crds_are_the_top_level_files(render, root):
    files = crd_files(root)
    assert set(files) == {
        "repository.yaml",
        "backup.yaml",
        "backupschedule.yaml",
        "restore.yaml",
        "restoredrill.yaml",
        "restoredrillschedule.yaml",
        "postgrescluster.yaml",
    }
    for crd in files.values():
        rendered = render().one("CustomResourceDefinition", crd["metadata"]["name"])
        assert rendered["spec"] == crd["spec"]
        assert rendered["metadata"]["annotations"] == {
            **crd["metadata"].get("annotations", {}),
            "helm.sh/resource-policy": "keep",
        }


def test_crds_can_be_given_up_at_uninstall(render):
    for crd in render("--set", "crds.keep=false").all("CustomResourceDefinition"):
        assert "helm.sh/resource-policy" not in crd["metadata"].get("annotations", {})


# --- the notes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def notes(helm, chart, tmp_path_factory):
    """NOTES.txt as Helm prints it: `helm template` leaves it out, so a copy of the chart renders it as an object."""
    copy = shutil.copytree(chart, tmp_path_factory.mktemp("notes") / "pgwarden")
    shutil.move(copy / "templates" / "NOTES.txt", copy / "files" / "NOTES.txt")
    (copy / "templates" / "notes.yaml").write_text(
        '{{ dict "kind" "Notes" "metadata" (dict "name" "x") "text" (tpl (.Files.Get "files/NOTES.txt") .) | toYaml }}\n'
    )

    def render_notes(*arguments, **options):
        return helm.render(*arguments, chart=copy, **options).one("Notes", "x")["text"]

    return render_notes


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")  # Python about a pattern of the CRDs
def test_the_example_in_the_notes_is_valid(notes, root):
    kinds = {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in crd_files(root).values()
    }
    text = notes()
    examples = [yaml.safe_load(textwrap.dedent(part.split("YAML\n", 1)[0])) for part in text.split("<<'YAML'\n")[1:]]
    assert [example["kind"] for example in examples] == ["Repository", "Backup"]
    for example in examples:
        jsonschema.validate(example, kinds[example["kind"]])
        known = kinds[example["kind"]]["properties"]["spec"]["properties"]
        assert set(example["spec"]) <= set(known)
        assert example["apiVersion"] == "pgwarden.io/v1alpha1"
    repository, backup = examples
    assert backup["spec"]["repository"] == repository["metadata"]["name"]
    assert f'"{REPOSITORY_LABEL}":"{repository["metadata"]["name"]}"' in text
    assert "helm test pgwarden --namespace pgwarden-system" in text


def test_the_notes_speak_of_a_namespace_that_is_watched(notes):
    text = notes("--set", "watchNamespaces={payroll,ledger}")
    assert "default" not in text
    assert text.count("namespace: payroll") == 2
    assert "works in payroll, ledger" in text
    assert "works in" not in notes()


def test_notes_warn(notes):
    assert "WARNING" not in notes()
    assert "WITHOUT WAL archiving" in notes("--set", "webhook.failurePolicy=Ignore")
    assert "will not be injected" in notes(namespace="default")
    assert "deletes every Repository" in notes("--set", "crds.keep=false")
