"""A release's image is made from its commit, whatever the checkout is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localcluster import history
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import IMAGES, OTHER_PGBACKREST, RELEASE, RELEASE_COMMIT, Image
from localcluster.images import Store
from tests.unit.localcluster.conftest import FakeStore

ROOT = Path(__file__).parents[3]


def git(folder: Path, *words: str) -> str:
    about = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *about, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def commit(source: Path) -> str:
    """Of the folder as it is; the checkout has moved on since."""
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-qm", "released")
    (source / "code" / "main.py").write_text("print('of later')\n")
    return git(source, "rev-parse", "HEAD")


def released(commit: str) -> Image:
    return Image("thing-old", "localhost/thing:0", "forky", "Dockerfile", ("Dockerfile", "code"), commit=commit)


def test_a_snapshot_of_a_commit_has_its_files_and_no_others(source: Path, commit: str, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    history.snapshot_of(source, commit, ("Dockerfile", "code", "of-later"), target, tmp_path / "kept")
    assert sorted(str(one.relative_to(target)) for one in target.rglob("*")) == ["Dockerfile", "code", "code/main.py"]
    assert (target / "code" / "main.py").read_text() == "print(1)\n"


def test_a_commit_that_a_shallow_clone_lacks_is_named_with_the_way_out(
    source: Path, commit: str, tmp_path: Path
) -> None:
    git(source, "commit", "-qam", "later")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{source}", "shallow")
    with pytest.raises(LocalClusterError) as told:
        history.extract(tmp_path / "shallow", commit, tmp_path, tmp_path / "kept")
    assert commit[:12] in str(told.value)
    assert "git fetch --unshallow" in str(told.value)


def test_an_image_of_a_commit_is_built_once_whatever_the_checkout_becomes(
    store: FakeStore,
    source: Path,
    commit: str,
) -> None:
    first = store.build(released(commit))
    (source / "code" / "main.py").write_text("print('of later still')\n")
    assert store.build(released(commit)) == first
    assert store.builds == 1
    assert (store.root / "contexts" / "thing-old" / "code" / "main.py").read_text() == "print(1)\n"


def test_a_cached_image_of_a_commit_needs_no_history(store: FakeStore, source: Path, commit: str) -> None:
    first = store.build(released(commit))
    (source / ".git").rename(source / "gone")
    assert store.build(released(commit)) == first


def test_a_changed_image_is_another_with_another_change(store: FakeStore) -> None:
    parent = Path("parent-0123.tar")
    changed = Image("thing-new", "localhost/thing:new", "forky", "", (), parent="thing", change="true")
    other = Image("thing-new", "localhost/thing:new", "forky", "", (), parent="thing", change="false")
    keys = {store.key(one, Path(), path) for one in (changed, other) for path in (parent, Path("parent-4567.tar"))}
    assert len(keys) == 4


def test_the_release_is_the_one_that_the_changelog_names() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {RELEASE} (" in text
    section = text.split(f"## {RELEASE} (")[1].split("\n## ")[0]
    assert RELEASE_COMMIT[:7] in section.split("###")[0]


def test_a_commit_that_was_taken_before_needs_no_history(source: Path, commit: str, tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        history.extract(source, commit, folder, tmp_path / "kept")
        assert (folder / "code" / "main.py").read_text() == "print(1)\n"
        if number == 0:
            (source / ".git").rename(source / "gone")
    assert [one.name for one in (tmp_path / "kept").iterdir()] == [f"{commit}.tar"]


def test_the_release_calls_itself_by_its_name(tmp_path: Path) -> None:
    history.extract(ROOT, RELEASE_COMMIT, tmp_path, Store().sources)
    assert f'__version__ = "{RELEASE}"' in (tmp_path / "pgwarden" / "__init__.py").read_text()
    assert (tmp_path / "charts" / "pgwarden" / "Chart.yaml").is_file()


def test_a_changed_image_follows_one_that_is_built() -> None:
    for image in IMAGES.values():
        if image.parent:
            assert IMAGES[image.parent].dockerfile
            assert image.change
            assert image.on_demand


def test_the_other_pgbackrest_has_as_long_a_version_as_the_real_one() -> None:
    """It takes its place in the program, byte by byte."""
    assert len(OTHER_PGBACKREST) == len("2.60.0")
