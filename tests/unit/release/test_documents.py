"""Bills of materials and provenance: what a reader of their standards looks for, and the same from the same."""

from __future__ import annotations

from release.contents import Package
from release.documents import Subject, bill, provenance

SUBJECT = Subject("pgwarden", "0.2.0", "a" * 64, "b" * 64, 1_800_000_000)
PACKAGES = [
    Package("deb", "libc6", "2.41", "amd64"),
    Package("deb", "libc6", "2.41", "amd64", "/pgwarden/tools"),
    Package("pypi", "aiohttp", "3.14.5"),
]


def test_a_bill_names_the_image_and_each_package_once() -> None:
    written = bill(SUBJECT, PACKAGES)
    assert (written["bomFormat"], written["specVersion"]) == ("CycloneDX", "1.6")
    assert written["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert written["metadata"]["timestamp"] == "2027-01-15T08:00:00Z"
    assert [one["purl"] for one in written["components"]] == [package.purl for package in PACKAGES]
    references = [one["bom-ref"] for one in written["components"]]
    assert len(set(references)) == len(references)


def test_the_same_image_has_the_same_bill() -> None:
    assert bill(SUBJECT, PACKAGES) == bill(SUBJECT, PACKAGES)


def test_provenance_names_the_commit_the_base_and_the_tools() -> None:
    inputs = {"Dockerfile": "c" * 64, "debian:trixie-slim": "d" * 64}
    written = provenance(SUBJECT, "e" * 40, {"SNAPSHOT": ""}, inputs, {"buildah": "1.28.2"})
    assert written["predicateType"] == "https://slsa.dev/provenance/v1"
    assert written["subject"][0] == {"name": "pgwarden-0.2.0.tar", "digest": {"sha256": "b" * 64}}
    definition = written["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"name": "source", "digest": {"gitCommit": "e" * 40}},
        {"name": "Dockerfile", "digest": {"sha256": "c" * 64}},
        {"name": "debian:trixie-slim", "digest": {"sha256": "d" * 64}},
    ]
    assert written["predicate"]["runDetails"]["builder"]["version"] == {"buildah": "1.28.2"}
