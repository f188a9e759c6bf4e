"""The majors of PostgreSQL: one module says them, and what cannot import it repeats them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from localcluster.image_inputs import IMAGES
from pgwarden.api.postgres_majors import DEFAULT, NEWEST, OLDEST
from pgwarden.api.schema import crds

ROOT = Path(__file__).parents[3]
FIELD = crds()["PostgresCluster"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
    "properties"
]
#: File → what stands around the major of the operator's image in it.
REPEATED = {
    "Dockerfile": r"^ARG PG_MAJOR=(\d+)$",
    "tests/images/postgres-glibc/Dockerfile": r"^ARG PG_MAJOR=(\d+)$",
    "charts/pgwarden/templates/_helpers.tpl": r"-patroni:(\d+)",
    "charts/pgwarden/values.yaml": r"with PostgreSQL (\d+)",
    "charts/pgwarden/README.md": r"`-patroni`, tag (\d+)",
    "harness/postgres.py": r"localhost/postgres:(\d+)",
    "README.md": r"^\| PostgreSQL \| (\d+),",
    "docs/cluster.md": r"PostgreSQL (\d+)",
}


def test_the_crd_takes_the_oldest_to_the_newest_and_falls_back_to_the_images():
    version = FIELD["postgresVersion"]
    assert (version["minimum"], version["maximum"], version["default"]) == (OLDEST, NEWEST, DEFAULT)
    assert f"PostgreSQL {DEFAULT}" in FIELD["image"]["description"]


@pytest.mark.parametrize(("file", "pattern"), REPEATED.items(), ids=REPEATED)
def test_what_repeats_the_major_of_the_operators_image_has_the_same(file, pattern):
    found = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert found
    assert set(found) == {str(DEFAULT)}


def test_the_images_of_the_local_cluster_have_it():
    tags = {image.name: image.tag.rpartition(":")[2] for image in IMAGES.values()}
    assert (tags["pgwarden-patroni"], tags["postgres"]) == (str(DEFAULT), str(DEFAULT))


def test_no_other_module_of_ours_has_the_literal():
    literal = re.compile(rf"(?<![\w.]){DEFAULT}(?![\w.])|patroni:{DEFAULT}|PostgreSQL {DEFAULT}")
    files = [path for room in ("pgwarden", "webhook", "controller", "agent") for path in (ROOT / room).rglob("*.py")]
    code = {path: [line.partition("#")[0] for line in path.read_text().splitlines()] for path in files}
    found = {str(path.relative_to(ROOT)) for path, lines in code.items() if any(map(literal.search, lines))}
    assert found == {"pgwarden/api/postgres_majors.py"}
