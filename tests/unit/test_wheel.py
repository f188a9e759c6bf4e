"""What `pip install .` puts onto a user's machine: one package and its commands, and no generic top-level name."""

from __future__ import annotations

import tomllib

from tests.unit.sources import ROOT


def test_the_wheel_has_one_package_and_its_two_commands():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["pgwarden"]
    assert wheel["force-include"] == {"crds": "pgwarden/crds"}
    assert project["project"]["scripts"] == dict.fromkeys(("pgwarden", "kubectl-pgwarden"), "pgwarden.cli.main:main")


def test_the_library_imports_none_of_the_deployables():
    """It is installed without them."""
    for path in (ROOT / "pgwarden").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            imported = words[1] if len(words) > 1 and words[0] in {"import", "from"} else ""
            assert imported.split(".")[0] not in {"agent", "controller", "webhook"}, f"{path}: {line}"
