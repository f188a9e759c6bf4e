"""Whatever the release is called, each name and label is legal; an old API server is given nothing that it does not know."""

from __future__ import annotations

import re

import pytest
import yaml

from pgwarden import __version__
from tests.unit.sources import ROOT

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")
LONGEST_NAMESPACE = "n" * 63
RELEASES = {
    "a short one": "x",
    "the longest, with the chart's name in it": "pgwarden-" + "x" * 44,
    "the longest, without it": "x" * 53,
    "dashes where it is cut": "pgwarden-" + "x" * 29 + "--" + "y" * 13,
    "a dash where it is cut": "pgwarden-" + "x" * 30 + "-" + "y" * 13,
    "nothing but dashes after its beginning": "x" + "-" * 51 + "y",
}
OVERRIDES = {
    "fullnameOverride": "fullnameOverride=" + "x" * 40,
    "nameOverride": "nameOverride=" + "x" * 40,
    "a dash at the end of nameOverride": "nameOverride=a" + "-" * 38 + "b",
}


def all_legal(rendered) -> None:
    for obj in rendered.objects:
        metadata = obj["metadata"]
        if obj["kind"] != "CustomResourceDefinition":
            assert SUBDOMAIN.fullmatch(metadata["name"]), metadata["name"]
            assert len(metadata["name"]) <= 63, metadata["name"]
        if obj["kind"] == "Service":
            assert SERVICE.fullmatch(metadata["name"])
        template = obj.get("spec", {}).get("template", {}).get("metadata", {}) if obj["kind"] == "Deployment" else {}
        for key, value in {**metadata.get("labels", {}), **template.get("labels", {})}.items():
            assert VALUE.fullmatch(value), f"{key}: {value}"


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_every_name_and_label_is_legal_for_any_name_of_a_release(render, release):
    all_legal(render(release=release, namespace=LONGEST_NAMESPACE))


@pytest.mark.parametrize("override", OVERRIDES.values(), ids=OVERRIDES)
def test_every_name_and_label_is_legal_for_any_override(render, override):
    all_legal(render("--set", override, release="x" * 53, namespace=LONGEST_NAMESPACE))


@pytest.mark.parametrize(
    ("kubernetes", "selectable"),
    [("1.29.0", False), ("v1.29.15-eks-1", False), ("1.30.4", False), ("1.31.0", True), ("v1.31.2-gke.1", True)],
)
def test_fields_to_select_by_are_there_where_kubernetes_knows_them(render, kubernetes, selectable):
    found = {
        crd["spec"]["names"]["kind"]: "selectableFields" in crd["spec"]["versions"][0]
        for crd in render(kubernetes=kubernetes).all("CustomResourceDefinition")
    }
    ours = {"Backup": selectable, "BackupSchedule": selectable, "Restore": selectable, "RestoreDrill": selectable}
    ours |= {"RestoreDrillSchedule": selectable}
    assert found == ours | {"Repository": False, "PostgresCluster": False}


def test_the_chart_is_of_the_version_that_the_code_says():
    chart = yaml.safe_load((ROOT / "charts" / "pgwarden" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
