"""`python3 -m harness.crds`: the Repository's schema into the PostgresCluster's, which holds a Repository spec.

crds/ is one schema that everybody reads as it is, so the copy is in the file; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

CRDS = Path(__file__).resolve().parent.parent / "crds"
BEGIN, END = "# repository.yaml begins", "# repository.yaml ends"


def embedded() -> str:
    """postgrescluster.yaml as it should be."""
    repository = (CRDS / "repository.yaml").read_text(encoding="utf-8").splitlines()
    cluster = (CRDS / "postgrescluster.yaml").read_text(encoding="utf-8").splitlines()
    begin = next(n for n, line in enumerate(cluster) if line.strip().startswith(BEGIN))
    end = next(n for n, line in enumerate(cluster) if line.strip() == END)
    return "\n".join([*cluster[: begin + 1], *_indented(_spec(repository)), *cluster[end:]]) + "\n"


def _spec(lines: list[str]) -> list[str]:
    """What is below `spec:` of the Repository, without its description and type, and without what a
    cluster's own never has: `postgres`, and a stanza that another pgBackRest has laid.
    """
    at = next(n for n, line in enumerate(lines) if line == "            spec:")
    end = next(n for n, line in enumerate(lines) if line == "            status:")
    body = lines[at + 1 : end]
    start = next(n for n, line in enumerate(body) if "x-kubernetes-validations" in line)
    body = body[start:]
    first = next(n for n, line in enumerate(body) if line == "                postgres:")
    after = next(n for n, line in enumerate(body) if line == "                retention:")
    own = next(n for n, line in enumerate(body) if line == "                stanza:")
    then = next(n for n, line in enumerate(body) if line == "                serviceAccountName:")
    return body[:first] + body[after:own] + body[then:]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


if __name__ == "__main__":
    (CRDS / "postgrescluster.yaml").write_text(embedded(), encoding="utf-8")
