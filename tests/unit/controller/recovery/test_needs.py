"""What an image must have: the list, and the look at it inside of the image (images/needs.sh)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from controller import jobs
from controller.cluster import clone_source
from controller.recovery import needs
from pgwarden.contract.server_facts import Locale, ServerFacts

SOURCE = ServerFacts(
    shared_preload_libraries=("pgaudit", "$libdir/pg_stat_statements"),
    locales=(
        Locale(provider="libc", collate="en_US.utf8", ctype="en_US.utf8", databases=("postgres",), database_count=3),
        Locale(provider="icu", collate="de_DE.utf8", ctype="C", locale="de", databases=("shop",), database_count=1),
    ),
)
SCRIPT = Path(__file__).parents[4] / "images/needs.sh"
#: Knows en_US.utf8, as PostgreSQL does: by taking the parameter, or not.
POSTGRES = '#!/bin/sh\ncase "$*" in *"-C lc_monetary -c lc_monetary=en_US.utf8") exit 0 ;; esac\nexit 1\n'


def test_each_locale_and_library_of_the_source_is_listed():
    assert needs.listed(SOURCE, {}).splitlines() == [
        "locale|en_US.utf8|databases postgres and 2 more",
        "locale|de_DE.utf8|database shop",
        "library|pgaudit|shared_preload_libraries",
        "library|$libdir/pg_stat_statements|shared_preload_libraries",
    ]


def test_a_library_that_came_with_the_data_is_neither_looked_for_nor_loaded():
    told = ServerFacts(shared_preload_libraries=("pgaudit", "/pgdata/data/evil.so", "$libdir/../evil", "./evil"))
    assert needs.libraries(told, {}) == ["pgaudit"]
    assert needs.listed(told, {}) == "library|pgaudit|shared_preload_libraries\n"


@pytest.mark.parametrize(
    ("given", "libraries"),
    [
        pytest.param({"shared_preload_libraries": ""}, [], id="none"),
        pytest.param({"shared_preload_libraries": "'pg_cron', auto_explain"}, ["pg_cron", "auto_explain"], id="others"),
    ],
)
def test_parameters_of_the_clone_win_over_the_sources(given: dict[str, str | int], libraries: list[str]):
    found = [line.split("|") for line in needs.listed(SOURCE, given).splitlines()]
    assert [name for kind, name, _ in found if kind == "library"] == libraries


def test_nothing_is_listed_of_a_source_of_which_nothing_is_known():
    assert needs.listed(ServerFacts(), {}) == ""


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


def look(image: Path, wanted: str | None) -> tuple[int, str]:
    """The script's exit code, and what it leaves as its termination message."""
    file, said = image / "needs", image / "said"
    if wanted is not None:
        file.write_text(wanted)
    said.write_text("")
    argv = ["/bin/sh", str(SCRIPT), str(file), f"{image}/bin", str(said)]
    environment = {"PATH": "/bin:/usr/bin", "TMPDIR": str(image)}
    done = subprocess.run(argv, env=environment, capture_output=True, check=False)
    return done.returncode, said.read_text()


def result(message: str):
    ended = {"terminated": {"exitCode": 1, "message": message, "finishedAt": "2026-11-29T00:00:00Z"}}
    return jobs.result([{"status": {"initContainerStatuses": [{"name": "needs", "state": ended}]}}])


def test_what_the_image_lacks_is_said_by_name_with_whom_it_is_for(image: Path):
    code, said = look(image, needs.listed(SOURCE, {}))
    found = result(said)
    assert (code, found.ok, found.reason) == (1, False, "LocaleMissing")
    assert found.error == (
        "nothing was copied, because the image lacks what the source has: locale de_DE.utf8 (database shop); library "
        "pgaudit (shared_preload_libraries)"
    )
    assert not list(image.glob("needs.*"))


@pytest.mark.parametrize("wanted", [None, "", "locale|en_US.utf8|x\nlibrary|pg_stat_statements|y\n"])
def test_an_image_that_has_all_is_let_through(image: Path, wanted: str | None):
    assert look(image, wanted) == (0, "")


def test_without_pg_config_libraries_are_looked_for_beside_the_programs(image: Path):
    (image / "bin" / "pg_config").unlink()
    assert look(image, "library|pg_stat_statements|y\n")[0] == 0
    found = result(look(image, "library|pgaudit|y\n")[1])
    assert (found.reason, found.error.endswith(": library pgaudit (y)")) == ("LibraryMissing", True)


def test_a_name_that_is_quoted_or_as_long_as_can_be_leaves_a_result_that_can_be_read(image: Path):
    names = ['a"b', "c\\d", *("x" * 900 + str(number) for number in range(20))]
    code, said = look(image, "".join(f"library|{name}|y\n" for name in names))
    assert code == 1
    assert len(said) < 4096
    assert 'library a"b (y); library c\\d (y); ' in result(said).error


def test_a_clone_is_told_what_its_source_has():
    postgres = {"sharedPreloadLibraries": ["pgaudit"], "locales": [{"provider": "libc", "collate": "de_DE.utf8"}]}
    source = {"metadata": {"name": "hippo"}, "status": {"postgres": postgres}}
    told = clone_source.needs({"spec": {}}, source).decode()
    assert [line.split("|")[:2] for line in told.splitlines()] == [["locale", "de_DE.utf8"], ["library", "pgaudit"]]
