"""What a clone's image must have: the list, and the look at it inside of the instance."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from controller.cluster import clone_needs, clone_script, clone_source
from pgwarden.api import names
from pgwarden.api.kinds import DataSource
from pgwarden.contract.server_facts import Locale, ServerFacts

SOURCE = ServerFacts(
    shared_preload_libraries=("pgaudit", "$libdir/pg_stat_statements"),
    locales=(
        Locale(provider="libc", collate="en_US.utf8", ctype="en_US.utf8", databases=("postgres",), database_count=3),
        Locale(provider="icu", collate="de_DE.utf8", ctype="C", locale="de", databases=("shop",), database_count=1),
    ),
)
#: Knows en_US.utf8, as PostgreSQL does: by taking the parameter, or not.
POSTGRES = '#!/bin/sh\ncase "$*" in *"-C lc_monetary -c lc_monetary=en_US.utf8") exit 0 ;; esac\nexit 1\n'


def test_each_locale_and_library_of_the_source_is_listed():
    assert clone_needs.listed(SOURCE, {}).splitlines() == [
        "locale|en_US.utf8|databases postgres and 2 more",
        "locale|de_DE.utf8|database shop",
        "library|pgaudit|shared_preload_libraries",
        "library|$libdir/pg_stat_statements|shared_preload_libraries",
    ]


@pytest.mark.parametrize(
    ("given", "libraries"),
    [
        pytest.param({"shared_preload_libraries": ""}, [], id="none"),
        pytest.param({"shared_preload_libraries": "'pg_cron', auto_explain"}, ["pg_cron", "auto_explain"], id="others"),
    ],
)
def test_parameters_of_the_clone_win_over_the_sources(given: dict[str, str | int], libraries: list[str]):
    found = [line.split("|") for line in clone_needs.listed(SOURCE, given).splitlines()]
    assert [name for kind, name, _ in found if kind == "library"] == libraries


def test_nothing_is_listed_of_a_source_of_which_nothing_is_known():
    assert clone_needs.listed(ServerFacts(), {}) == ""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder like an image's: programs, and the library pg_stat_statements alone."""
    for name, text in {"postgres": POSTGRES, "pg_config": f"#!/bin/sh\necho {tmp_path}/lib\n"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "pg_stat_statements.so").touch()
    return tmp_path


def look(image: Path, needs: str | None) -> subprocess.CompletedProcess[str]:
    file = image / "needs"
    if needs is not None:
        file.write_text(needs)
    text = clone_needs.script().replace("/tmp/", f"{image}/").replace(names.CLONE_NEEDS_FILE, str(file))
    run = ["sh", "-c", text]
    return subprocess.run(run, env={"PGWARDEN_BIN": f"{image}/bin", "PATH": "/bin:/usr/bin"}, text=True, capture_output=True, check=False)  # fmt: skip


def test_what_the_image_lacks_is_said_by_name_with_whom_it_is_for(image: Path):
    done = look(image, clone_needs.listed(SOURCE, {}))
    said = "locale de_DE.utf8 (database shop); library pgaudit (shared_preload_libraries)"
    assert (done.returncode, done.stdout, done.stderr) == (1, said, "")
    assert not list(image.glob("needs.*"))


@pytest.mark.parametrize("needs", [None, "", "locale|en_US.utf8|x\nlibrary|pg_stat_statements|y\n"])
def test_an_image_that_has_all_is_let_through(image: Path, needs: str | None):
    done = look(image, needs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_pg_config_libraries_are_looked_for_beside_the_programs(image: Path):
    (image / "bin" / "pg_config").unlink()
    assert look(image, "library|pg_stat_statements|y\n").returncode == 0
    assert look(image, "library|pgaudit|y\n").stdout == "library pgaudit (y)"


def test_a_clone_is_told_what_its_source_has():
    postgres = {"sharedPreloadLibraries": ["pgaudit"], "locales": [{"provider": "libc", "collate": "de_DE.utf8"}]}
    source = {"metadata": {"name": "hippo"}, "status": {"postgres": postgres}}
    told = clone_source.needs({"spec": {}}, source).decode()
    assert [line.split("|")[:2] for line in told.splitlines()] == [["locale", "de_DE.utf8"], ["library", "pgaudit"]]


def test_the_image_is_looked_at_before_anything_is_restored():
    text = clone_script.files(clone_script.of_source(DataSource(repository="hippo")), "wait")["clone.sh"]
    assert 0 < text.index("needs.sh") < text.index("archive-get")
