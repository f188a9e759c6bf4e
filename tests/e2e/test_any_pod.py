"""PostgreSQL as others set it up: its superuser by reference, its port by arguments; the Repository says
nothing of it.
"""

from __future__ import annotations

import pytest

from harness.kubectl import Kubectl, is_true, phase
from harness.objects import backup, repository, restore
from harness.postgres import Postgres, statefulset

BY_SECRET = {"secretKeyRef": {"name": "elsewhere", "key": "who"}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "elsewhere"},
    "stringData": {"who": "owner", "POSTGRES_USER": "owner", "POSTGRES_PASSWORD": "secret of a test"},
}


def by_reference_on_another_port(container: dict) -> None:
    container["env"].append({"name": "POSTGRES_USER", "valueFrom": BY_SECRET})
    container["args"] = ["-c", "port=5433"]


def by_all_of_a_secret(container: dict) -> None:
    container["envFrom"] = [{"secretRef": {"name": "elsewhere"}}]


@pytest.mark.parametrize(
    ("name", "change", "reached"),
    [
        ("port", by_reference_on_another_port, ("-p", "5433")),
        ("whole", by_all_of_a_secret, ()),
    ],
)
def test_it_archives_is_backed_up_and_restored_in_place(installed, space: Kubectl, name: str, change, reached):
    documents = statefulset(installed.postgres_image, name=name, repository=name)
    container = documents[-1]["spec"]["template"]["spec"]["containers"][0]
    change(container)
    container["readinessProbe"]["exec"]["command"] = ["pg_isready", "--username=owner", *reached]
    space.apply(SECRET, repository(name), *documents)
    postgres = Postgres(space, pod=f"{name}-0")
    postgres.wait_ready()
    space.until("pgrepo", name, is_true("Archiving"), "archives", 120)

    def sql(statement: str) -> str:
        return postgres.run("psql", "-X", "-q", "-A", "-t", "-U", "owner", *reached, "-d", "postgres", "-c", statement)

    sql("CREATE TABLE notes AS SELECT n, 'in the backup' AS said FROM generate_series(1, 100) AS n")
    space.apply(backup(f"{name}-base", repository=name))
    space.until("pgb", f"{name}-base", phase("Completed"), "is completed", 180)
    sql("INSERT INTO notes VALUES (101, 'after the backup')")
    rows = sql("SELECT * FROM notes ORDER BY n")
    space.apply(restore(f"{name}-back", repository=name))
    done = space.until("pgr", f"{name}-back", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()
    assert sql("SELECT * FROM notes ORDER BY n") == rows
    assert rows.count("\n") == 101
