"""values.schema.json refuses what is wrong, and names it."""

from __future__ import annotations

import json
import re

import pytest
import yaml

# path, wrong value (JSON), what the refusal says
WRONG = [
    ("webhok", "{}", "additional properties 'webhok' not allowed"),
    ("nameOverride", '"UPPER"', "/nameOverride"),
    ("fullnameOverride", '"1st"', "/fullnameOverride"),
    ("fullnameOverride", f'"{"x" * 41}"', "/fullnameOverride"),
    ("image.repository", '""', "/image/repository"),
    ("image.repository", '"Upper/Case"', "/image/repository"),
    ("image.tag", "1.5", "/image/tag"),
    ("image.tag", '"a b"', "/image/tag"),
    ("image.digest", '"sha256:abc"', "/image/digest"),
    ("image.pullPolicy", '"Sometimes"', "/image/pullPolicy"),
    ("image.pullSecrets", "[]", "additional properties 'pullSecrets' not allowed"),
    ("imagePullSecrets", '["registry"]', "/imagePullSecrets/0"),
    ("watchNamespaces", '"a"', "/watchNamespaces"),
    ("watchNamespaces", '["Not A Name"]', "/watchNamespaces/0"),
    ("watchNamespaces", '["a,b"]', "/watchNamespaces/0"),
    ("watchNamespaces", '["a", "a"]', "/watchNamespaces"),
    ("clusterDomain", '"cluster local"', "/clusterDomain"),
    ("logLevel", '"chatty"', "/logLevel"),
    ("runAsUser", "0", "/runAsUser"),
    ("s3.bucket", '"has blank"', "/s3/bucket"),
    ("s3.endpoint", '"https://minio:9000"', "/s3/endpoint"),
    ("s3.region", '"eu central"', "/s3/region"),
    ("s3.key", '"secret"', "additional properties 'key' not allowed"),
    ("crds.enabled", '"yes"', "/crds/enabled"),
    ("crds.delete", "true", "additional properties 'delete' not allowed"),
    ("rbac.aggregate", "1", "/rbac/aggregate"),
    ("requireRepository.enabled", '"yes"', "/requireRepository/enabled"),
    ("requireRepository.otherOperators", "1", "/requireRepository/otherOperators"),
    ("webhook.replicas", "0", "/webhook/replicas"),
    ("webhook.replicas", '"two"', "/webhook/replicas"),
    ("webhook.replica", "2", "additional properties 'replica' not allowed"),
    ("webhook.failurePolicy", '"Open"', "/webhook/failurePolicy"),
    ("webhook.timeoutSeconds", "31", "/webhook/timeoutSeconds"),
    ("webhook.timeoutSeconds", '"5s"', "/webhook/timeoutSeconds"),
    ("webhook.server", '"quick"', "/webhook/server"),
    ("webhook.checkRequester", '"yes"', "/webhook/checkRequester"),
    ("postgresImages.digest", '"17"', "/postgresImages/digest"),
    ("postgresImages.allowed", '["a,b"]', "/postgresImages/allowed/0"),
    ("postgresImages.allowed", '"a"', "/postgresImages/allowed"),
    ("webhook.excludedNamespaces", '["Not A Name"]', "/webhook/excludedNamespaces/0"),
    ("webhook.preStopSeconds", "0", "/webhook/preStopSeconds"),
    ("webhook.terminationGracePeriodSeconds", "601", "/webhook/terminationGracePeriodSeconds"),
    ("webhook.podDisruptionBudget.maxUnavailable", '"half"', "/webhook/podDisruptionBudget/maxUnavailable"),
    ("webhook.podDisruptionBudget.maxUnavailable", "0", "/webhook/podDisruptionBudget/maxUnavailable"),
    ("webhook.podDisruptionBudget.minAvailable", "1", "additional properties 'minAvailable' not allowed"),
    ("webhook.resources.limits.memory", '"256MB"', "/webhook/resources/limits/memory"),
    ("webhook.resources.limits.gpu", "1", "additional properties 'gpu' not allowed"),
    ("webhook.resources.limits", "null", "missing property 'limits'"),
    ("webhook.nodeSelector", '{"a": 1}', "/webhook/nodeSelector/a"),
    ("webhook.tolerations", '[{"effect": "Never"}]', "/webhook/tolerations/0/effect"),
    ("webhook.affinity", '{"antiAffinity": {}}', "additional properties 'antiAffinity' not allowed"),
    ("webhook.podAnnotations", '{"a": true}', "/webhook/podAnnotations/a"),
    ("webhook.podAnnotations", '{"not a key": "x"}', "'not a key' does not match"),
    ("webhook.hostNetwork", "true", "additional properties 'hostNetwork' not allowed"),
    ("controller.replicas", "3", "/controller/replicas"),
    ("controller.replicas", "0", "/controller/replicas"),
    ("controller.failurePolicy", '"Fail"', "additional properties 'failurePolicy' not allowed"),
    ("controller.terminationGracePeriodSeconds", "0", "/controller/terminationGracePeriodSeconds"),
    ("controller.priorityClassName", "1", "/controller/priorityClassName"),
    ("networkPolicy.enabled", '"false"', "/networkPolicy/enabled"),
    ("networkPolicy.workloads", '"false"', "/networkPolicy/workloads"),
    ("networkPolicy.meshPorts", "[70000]", "/networkPolicy/meshPorts/0"),
    ("networkPolicy.meshPorts", '["15008"]', "/networkPolicy/meshPorts/0"),
    ("networkPolicy.metricsFrom", '[{"namespace": "x"}]', "additional properties 'namespace' not allowed"),
    ("networkPolicy.metricsFrom", '[{"ipBlock": {}}]', "missing property 'cidr'"),
    ("networkPolicy.webhookFrom", '[{"cidr": "10.0.0.0/8"}]', "additional properties 'cidr' not allowed"),
    ("networkPolicy.webhookFrom", '[{"ipBlock": {}}]', "missing property 'cidr'"),
    ("monitoring.interval", '"half a minute"', "/monitoring/interval"),
    ("monitoring.labels", '{"a": "b c"}', "/monitoring/labels/a"),
    ("test.namespace", '""', "/test/namespace"),
    ("test.timeoutSeconds", "1", "/test/timeoutSeconds"),
]


@pytest.mark.parametrize(("path", "value", "says"), WRONG, ids=[f"{path}={value[:20]}" for path, value, _ in WRONG])
def test_wrong_value_is_refused_by_name(helm, path, value, says):
    assert says in helm.refusal("--set-json", f"{path}={value}")


@pytest.fixture(scope="module")
def schema(chart):
    return json.loads((chart / "values.schema.json").read_text())


@pytest.fixture(scope="module")
def values(chart):
    return yaml.safe_load((chart / "values.yaml").read_text())


def objects(schema, path=""):
    for name, sub in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
        if isinstance(sub, dict):
            yield f"{path}/{name}", sub
            yield from objects(sub, f"{path}/{name}")
    if isinstance(schema.get("items"), dict):
        yield f"{path}/[]", schema["items"]
        yield from objects(schema["items"], f"{path}/[]")


def test_nothing_unknown_is_let_through(schema):
    """Every object with known fields refuses others; the exceptions are Kubernetes' own free-form types, and `global`."""
    free = {path for path, sub in objects(schema) if sub.get("type") == "object" and "additionalProperties" not in sub}
    assert free == {
        "/global",
        "/networkPolicy/metricsFrom/[]/podSelector",
        "/networkPolicy/metricsFrom/[]/namespaceSelector",
        "/networkPolicy/webhookFrom/[]/podSelector",
        "/networkPolicy/webhookFrom/[]/namespaceSelector",
        "/affinity/nodeAffinity",
        "/affinity/podAffinity",
        "/affinity/podAntiAffinity",
    }
    assert schema["additionalProperties"] is False
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_every_value_is_in_the_schema_and_every_schema_entry_has_a_default(schema, values):
    def compare(known, given, path):
        assert set(known) - {"global"} == set(given), path
        for name, sub in known.items():
            if "properties" in sub and name != "global":
                compare(sub["properties"], given[name], f"{path}.{name}")

    compare(schema["properties"], values, "")


def test_every_value_is_explained(chart):
    lines = (chart / "values.yaml").read_text().splitlines()
    parents = {
        "webhook",
        "controller",
        "image",
        "s3",
        "crds",
        "rbac",
        "monitoring",
        "networkPolicy",
        "test",
        "admissionPolicies",
        "requireRepository",
        "postgresImages",
    }
    for number, line in enumerate(lines):
        if (field := re.match(r"^( {0,4})(\w+):", line)) and not re.match(
            r"^ {4}(requests|limits|cpu|memory)|^ {6}", line
        ):
            if field[2] in parents or field[2] == "podDisruptionBudget":
                continue
            above = lines[number - 1].strip()
            assert above.startswith("#"), f"line {number + 1}: {line.strip()}"


def test_s3_defaults_follow_the_crds_rules(schema, root):
    crd = yaml.safe_load((root / "crds" / "repository.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    known = spec["properties"]["s3"]["properties"]
    for name, rule in schema["properties"]["s3"]["properties"].items():
        assert {key: rule[key] for key in ("pattern", "maxLength")} == {
            key: known[name][key] for key in ("pattern", "maxLength")
        }, name
