"""The files about an image: bill of materials (CycloneDX 1.6) and provenance (in-toto, SLSA provenance 1.0)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from release.contents import Package

#: What they mean is in docs/supply-chain.md.
BUILD_TYPE, BUILDER = "urn:pgwarden:build:dockerfile", "urn:pgwarden:builder:make-release"


@dataclass(frozen=True)
class Subject:
    """An image of the release."""

    name: str  # of its archive
    version: str
    image_id: str  # sha256 of its configuration, without the prefix
    checksum: str  # sha256 of its archive
    time: int  # seconds since 1970; of the commit, so that a later build tells the same


def bill(subject: Subject, packages: Iterable[Package]) -> dict[str, Any]:
    """What the image consists of."""
    image = f"pkg:oci/{subject.name}@sha256:{subject.image_id}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image)}",
        "version": 1,
        "metadata": {
            "timestamp": _moment(subject.time),
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": subject.name,
                "version": subject.version,
                "hashes": [{"alg": "SHA-256", "content": subject.checksum}],
            },
        },
        "components": [_component(package) for package in packages],
    }


def _component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{package.purl}#{package.place}" if package.place else package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if package.place:
        component["properties"] = [{"name": "pgwarden:place", "value": package.place}]
    return component


def provenance(
    subject: Subject, commit: str, parameters: Mapping[str, str], inputs: Mapping[str, str], tools: Mapping[str, str]
) -> dict[str, Any]:
    """What the image was made from: *inputs* by name and sha256, and *tools* by name and version."""
    dependencies: list[dict[str, Any]] = [{"name": "source", "digest": {"gitCommit": commit}}]
    dependencies += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(inputs.items())]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": f"{subject.name}-{subject.version}.tar", "digest": {"sha256": subject.checksum}},
            {"name": f"{subject.name} (image ID)", "digest": {"sha256": subject.image_id}},
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(sorted(parameters.items())),
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": dict(sorted(tools.items()))},
            },
        },
    }


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
