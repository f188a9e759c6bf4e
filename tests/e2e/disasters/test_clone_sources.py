"""Clones of sources as people have them: made by the official image (en_US.utf8), with a library that is preloaded, by
musl, and with the configuration outside of the data directory. Each works, or is refused before anything is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness import images
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, repository
from harness.postgres import Postgres, client, statefulset

MUSL = "localhost/postgres:17-alpine"
ROWS = "SELECT count(*), md5(string_agg(x, ',' ORDER BY x COLLATE \"C\")) FROM words"
WORDS = "CREATE TABLE words AS SELECT x FROM unnest(ARRAY['Zebra', 'apple', 'Äpfel', 'zoo', 'Élan', 'élan', 'a b', 'ab']) AS x"
CONFIG = {
    "postgresql.conf": "max_connections = 60\narchive_mode = on\n",
    "pg_hba.conf": "local all all trust\nhost all all all scram-sha-256\n",
}
#: As Bitnami's start does it, after the data directory was made.
OUTSIDE = """
export PGDATA=/var/lib/postgresql/data/pgdata
if [ ! -s $PGDATA/PG_VERSION ]; then
  initdb -D $PGDATA --username=postgres > /dev/null
  rm $PGDATA/postgresql.conf $PGDATA/pg_hba.conf $PGDATA/pg_ident.conf
fi
exec postgres -c config_file=/etc/pg/postgresql.conf -c hba_file=/etc/pg/pg_hba.conf -D $PGDATA "$@"
"""


@dataclass(frozen=True)
class Source:
    name: str
    postgres: Postgres

    def rows(self) -> str:
        return self.postgres.sql(ROWS)


def official(space: Kubectl, image: str) -> list[dict]:
    """As the official image makes it, with an extension to preload."""
    documents = statefulset(image, name="official", repository="official")
    container(documents)["args"] = ["postgres", "-c", "shared_preload_libraries=pgaudit"]
    return documents


def musl(space: Kubectl, image: str) -> list[dict]:
    documents = statefulset(MUSL, name="musl", repository="musl")
    container(documents)["env"].append({"name": "POSTGRES_INITDB_ARGS", "value": "--locale=en_US.utf8"})
    container(documents)["readinessProbe"] = {"tcpSocket": {"port": 5432}, "periodSeconds": 2}  # it has no pg_isready
    return documents


def outside(space: Kubectl, image: str) -> list[dict]:
    """Like Bitnami's: no configuration in the data directory."""
    documents = statefulset("localhost/postgres:17", name="outside", repository="outside")
    spec, one = documents[-1]["spec"]["template"]["spec"], container(documents)
    one["command"] = ["bash", "-c", OUTSIDE, "start"]
    one["env"].append({"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"})
    one["volumeMounts"].append({"name": "config", "mountPath": "/etc/pg"})
    spec["securityContext"] = {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
    spec["volumes"] = [{"name": "config", "configMap": {"name": "outside"}}]
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "outside"}, "data": CONFIG}, *documents]


SOURCES: dict[str, Callable[[Kubectl, str], list[dict]]] = {"official": official, "musl": musl, "outside": outside}


@pytest.fixture(scope="module")
def sources(installed, space: Kubectl) -> dict[str, Source]:
    """With a backup each, and rows after it that are archived."""
    image = images.loaded(installed.cluster, images.ENGLISH)
    password = statefulset(MUSL)[1]  # of each server, by the name that the client's pod knows it by
    space.apply(password, client(installed.postgres_image))
    for name, documents in SOURCES.items():
        space.apply(repository(name), *documents(space, image))
    made = {name: Source(name, Postgres(space, pod=f"{name}-0")) for name in SOURCES}
    made["musl"] = Source("musl", Postgres(space, pod="musl-0", client="client"))
    for name, source in made.items():
        source.postgres.wait_ready(240)
        space.until("pgrepo", name, is_true("Archiving"), "archives", 150)
        space.apply(backup(f"{name}-base", "--type=full", repository=name))
    for name, source in made.items():
        done = space.until("pgb", f"{name}-base", phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        source.postgres.sql(f"{WORDS}; CREATE UNIQUE INDEX ON words (x); SELECT pg_switch_wal()")
        space.until(
            "pgrepo", name, lambda one: one["status"].get("postgres", {}).get("locales"), "knows the locales", 90
        )
    return made


@pytest.fixture(scope="module")
def clones(sources: dict[str, Source], space: Kubectl) -> dict[str, Cluster]:
    """All at once; that of the official image is given no library to preload."""
    for name in ("musl", "outside"):
        space.apply(copy_of(name))
    space.apply(copy_of("official", parameters={"shared_preload_libraries": ""}))
    return {name: Cluster(space, f"copy-{name}") for name in sources}


def test_a_missing_library_is_named_before_anything_is_copied(sources: dict[str, Source], space: Kubectl):
    space.apply(copy_of("official", name="lacking"))
    failed = space.until("pgc", "lacking", phase("Failed"), "fails", 240)
    said = condition(failed, "DataSource")
    assert said["reason"] == "CloneFailed"
    assert "library pgaudit (shared_preload_libraries)" in said["message"]
    assert "nothing was copied" in said["message"]
    assert "locale" not in said["message"].replace("lacks what", "")
    assert space.get("pgc", "lacking")["status"].get("initialized") is None
    space.delete("pgc", "lacking")


@pytest.mark.parametrize("name", SOURCES)
def test_a_clone_has_the_rows_and_answers_as_its_source(
    sources: dict[str, Source], clones: dict[str, Cluster], name: str
):
    clone = clones[name]
    status = clone.wait_ready(420)
    assert condition({"status": status}, "DataSource")["reason"] == "Cloned"
    assert clone.sql(ROWS) == sources[name].rows()
    locale = "SELECT datcollate, datctype FROM pg_database WHERE datname = 'postgres'"
    assert clone.sql(locale) == sources[name].postgres.sql(locale)


def test_a_clone_of_the_official_image_sorts_as_its_source(sources: dict[str, Source], clones: dict[str, Cluster]):
    ordered = "SELECT string_agg(x, ',' ORDER BY x) FROM words"
    assert "en_US" in clones["official"].sql("SELECT datcollate FROM pg_database WHERE datname = 'postgres'")
    assert clones["official"].sql(ordered) == sources["official"].postgres.sql(ordered)
    assert condition({"status": clones["official"].status()}, "Collations") is None


def test_a_clone_of_musl_says_that_its_indexes_are_to_be_built_again(clones: dict[str, Cluster], space: Kubectl):
    found = space.until("pgc", "copy-musl", lambda one: condition(one, "Collations"), "speaks of collations", 90)
    said = condition(found, "Collations")
    assert (said["status"], said["reason"]) == ("Unknown", "CollationVersionUnknown")
    assert "postgres" in said["message"]
    assert "REINDEX DATABASE NAME" in said["message"]
    told = [one for one in space.list("events") if one["reason"] == "CollationVersionUnknown"]
    assert told
    assert told[0]["type"] == "Warning"
    clones["musl"].sql("REINDEX DATABASE postgres")


def test_a_locale_that_the_image_lacks_is_named_with_its_databases(sources: dict[str, Source], space: Kubectl):
    """The last of all: from now on the source cannot be cloned."""
    source = sources["official"].postgres
    source.sql("CREATE DATABASE house LOCALE 'house_EN.utf8' TEMPLATE template0")
    source.sql("SELECT pg_reload_conf(); SELECT pg_switch_wal()")

    def known(one: dict) -> bool:
        return any("house" in locale.get("databases", []) for locale in one["status"]["postgres"]["locales"])

    space.until("pgrepo", "official", known, "knows of the database", 120)
    space.apply(copy_of("official", name="house", parameters={"shared_preload_libraries": ""}))
    failed = space.until("pgc", "house", phase("Failed"), "fails", 240)
    said = condition(failed, "DataSource")["message"]
    assert "locale house_EN.utf8 (database house)" in said
    assert "nothing was copied" in said


def copy_of(source: str, *, name: str = "", **spec: object) -> dict:
    return manifest(name or f"copy-{source}", 1, dataSource={"repository": source}, **spec)


def container(documents: list[dict]) -> dict:
    return documents[-1]["spec"]["template"]["spec"]["containers"][0]
