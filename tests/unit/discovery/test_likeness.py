"""How many PostgreSQLs are found among what public charts make, and how many others are taken for one."""

from __future__ import annotations

import time

import pytest

from pgwarden.discovery import marks
from pgwarden.discovery.likeness import likeness, operator_of
from tests.unit.discovery.corpus import NOT_POSTGRES, POSTGRES, pod


def test_precision_and_recall_over_the_corpus():
    """What is missed by name: a figure that falls is a regression."""
    missed = [name for name, one in POSTGRES.items() if likeness(one) is None]
    mistaken = [name for name, one in NOT_POSTGRES.items() if likeness(one) is not None]
    assert (missed, mistaken) == ([], [])
    assert len(POSTGRES) >= 55
    assert len(NOT_POSTGRES) >= 45


BY = {
    "official": ("image", "port", "folder"),
    "official without a tag": ("image", "folder"),
    "an image of the house, by its port": ("port", "folder"),
    "an image of the house, by its folder": ("folder",),
    "CloudNativePG, an image by number": ("label",),
    "PGO": ("label", "image"),
}


@pytest.mark.parametrize("name", BY)
def test_it_says_by_what(name):
    assert likeness(POSTGRES[name]).by == BY[name]


OPERATORS = {
    "PGO": "Crunchy Postgres for Kubernetes (PGO)",
    "Percona's operator": "Percona Operator for PostgreSQL",
    "CloudNativePG": "CloudNativePG",
    "Zalando": "Zalando's postgres-operator",
    "StackGres": "StackGres",
    "KubeBlocks": "KubeBlocks",
    "KubeDB": "KubeDB",
    "spilo": "",
    "official": "",
}


@pytest.mark.parametrize("name", OPERATORS)
def test_it_says_whose_pod_it_is(name):
    assert likeness(POSTGRES[name]).operator == OPERATORS[name]


def test_of_several_containers_the_one_with_the_image_is_meant():
    proxy = {"name": "proxy", "image": "example.com/mesh:1", "ports": [{"containerPort": 5432}]}
    found = likeness(pod("postgres:17", name="server", before=[proxy]))
    assert (found.container, found.image) == ("server", "postgres:17")


@pytest.mark.parametrize(
    "image",
    [
        "1." * 5000 + "x",
        "postgres" + "-pgvector" * 5000 + "-x",
        "db-" * 9000,
        "postgres:" + "@" * 20000 + "/",
        "/" * 40000,
    ],
    ids=["versions", "extensions", "editions", "digests", "folders"],
)
def test_no_name_of_somebodys_making_takes_long(image):
    """Everybody may create pods; who looks for PostgreSQL reads them all."""
    began = time.process_time()
    likeness(pod(image, command=["sh", "-c", ";" * 50000 + "psq"], port=5432))
    assert time.process_time() - began < 1


def test_labels_of_any_shape_are_no_operators():
    assert operator_of({"cnpg.io/cluster": {}, "cnpg.io/podRole": ["instance"], "app": None}) == ""


def test_a_registry_does_not_speak_for_the_image():
    assert likeness(pod("proxy-backup.example.com/acme/ledger:1", port=5432)) is not None


@pytest.mark.parametrize(
    "pattern", [marks.IMAGE, marks.IMAGE_NAMED, marks.OTHER, marks.CLIENT, marks.SERVER, marks.FOLDER]
)
def test_patterns_are_such_that_the_api_server_reads_them_too(pattern):
    """RE2 knows neither looking ahead nor back references."""
    assert "(?" not in pattern
    assert not any(f"\\{number}" in pattern for number in range(1, 10))
