"""A folder that an image is made from, and a store that builds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcluster import images
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import Image, seal


class FakeStore(images.Store):
    """Builds write a counter instead of running buildah."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.builds = 0
        self.faults: list[LocalClusterError] = []
        self.forgotten = 0

    def _build(self, image: Image, context: Path, archive: Path) -> None:
        self.builds += 1
        if self.faults:
            raise self.faults.pop(0)
        temporary = archive.with_name("tmp")
        temporary.write_text(f"build {self.builds}")
        seal(temporary, archive)

    def forget_layers(self) -> None:
        self.forgotten += 1


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "code").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "code" / "main.py").write_text("print(1)\n")
    (folder / "unrelated").write_text("x")
    return folder


@pytest.fixture
def store(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    monkeypatch.setattr(images, "REPOSITORY", source)
    monkeypatch.setattr(images, "require", lambda programs: None)
    return FakeStore(tmp_path / "cache")
