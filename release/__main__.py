"""`make release`, `make reproducible` and `make record`: see docs/supply-chain.md."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcluster.build_machine import require
from localcluster.cache import sha256
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import IMAGES, Image
from localcluster.images import NEEDED_PROGRAMS, REPOSITORY, Store
from pgwarden import __version__
from release import building, contents, documents

RELEASED = ("pgwarden", "pgwarden-patroni")
DIST = REPOSITORY / "dist"
#: The packages that each image had when somebody looked at them last.
RECORDED = Path(__file__).parent / "recorded"
#: Cached layers may have been made at another time.
FRESH = ("--layers", "--no-cache")
LOCK = REPOSITORY / "requirements.lock"


class Release:
    """The images of the commit that is checked out."""

    def __init__(self, store: Store, base: str, debian: str, *, clean: bool) -> None:
        require(NEEDED_PROGRAMS)
        self.commit, self.time = building.commit(clean=clean)
        self.store, self.debian = store, debian
        self.base = building.base_of(store, base, IMAGES[RELEASED[0]].release)

    def build(self, image: Image, tag: str, *more: str) -> str:
        arguments = self.arguments
        with step(f"building {tag}"):
            return building.build(self.store, image, {**arguments, "BASE": self.base.reference}, self.time, tag, *more)

    @property
    def arguments(self) -> dict[str, str]:
        return {"SNAPSHOT": self.debian, "VERSION": __version__, "REVISION": self.commit}

    def packages(self, tag: str) -> list[contents.Package]:
        with building.opened(self.store, tag) as root:
            return contents.of_image(root)

    def write(self, image: Image, image_id: str, tag: str, packages: Sequence[contents.Package]) -> None:
        """Archive, bill of materials and provenance of an image."""
        name = f"{image.name}-{__version__}"
        archive = DIST / f"{name}.tar"
        self.store.push(tag, archive, f"localhost/{image.name}:{__version__}")
        archive.with_name(archive.name + ".sha256").unlink()
        subject = documents.Subject(image.name, __version__, image_id, sha256(archive), self.time)
        inputs = {path: sha256(REPOSITORY / path) for path in ("Dockerfile", "requirements.lock")}
        inputs |= {self.base.name: self.base.digest, f"recorded/{image.name}.txt": sha256(_record_of(image))}
        made_from = documents.provenance(
            subject,
            self.commit,
            {**self.arguments, "BASE": self.base.name, "target": image.target},
            inputs,
            building.tools(),
        )
        _write(DIST / f"{name}.cdx.json", documents.bill(subject, packages))
        _write(DIST / f"{name}.provenance.json", made_from)


def _record_of(image: Image) -> Path:
    return RECORDED / f"{image.name}.txt"


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def release(store: Store, base: str, debian: str) -> None:
    """Everything of a release into DIST. Nothing, if an image has packages that nobody recorded."""
    building.named(base)
    with store.locked():
        made = Release(store, base, debian, clean=True)
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        for image in (IMAGES[name] for name in RELEASED):
            tag = f"localhost/{image.name}:release"
            image_id = made.build(image, tag, *FRESH)
            packages = made.packages(tag)
            check(image, packages)
            made.write(image, image_id, tag, packages)
            say(f"{image.name}: {len(packages)} packages, ID {image_id}")
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(DIST.iterdir()))
    (DIST / "SHA256SUMS").write_text(sums)


def check(image: Image, packages: Sequence[contents.Package]) -> None:
    """Each package is in the lock or in the recorded list."""
    if strays := contents.strays(packages, LOCK.read_text("utf-8")):
        raise LocalClusterError(f"{image.name} has what requirements.lock has not: {', '.join(strays)}")
    record = _record_of(image)
    if changed := contents.differences(record.read_text("utf-8").splitlines() if record.exists() else (), packages):
        told = "\n".join(changed)
        raise LocalClusterError(
            f"{image.name} has other packages than {record.relative_to(REPOSITORY)}:\n{told}",
            way_out="make record, look at the difference, commit it; or SNAPSHOT=TIME for the packages of that time",
        )


def record(store: Store, base: str, debian: str) -> None:
    """The packages that the images have now into RECORDED."""
    with store.locked():
        made = Release(store, base, debian, clean=False)
        for image in (IMAGES[name] for name in RELEASED):
            tag = f"localhost/{image.name}:release"
            made.build(image, tag, "--layers")
            lines = [package.line for package in made.packages(tag)]
            RECORDED.mkdir(exist_ok=True)
            _record_of(image).write_text("# Made by `make record`.\n" + "".join(f"{line}\n" for line in lines))


def reproducible(store: Store, base: str, debian: str) -> None:
    """Each image built twice from nothing; an error names the files that differ."""
    with store.locked():
        made = Release(store, base, debian, clean=False)
        for image in (IMAGES[name] for name in RELEASED):
            tags = [f"localhost/{image.name}:{which}" for which in ("first", "second")]
            one, other = (made.build(image, tag, *FRESH) for tag in tags)
            if one != other:
                with building.opened(store, tags[0]) as first, building.opened(store, tags[1]) as second:
                    files = "\n".join(building.differing(first, second)[:50])
                raise LocalClusterError(f"{image.name}: {one} and {other}; these files differ:\n{files}")
            say(f"{image.name}: both builds are {one}")


COMMANDS = {"release": release, "record": record, "reproducible": reproducible}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--base", default="", help="an image by digest, or `debootstrap`")
    parser.add_argument("--snapshot", default="", help="a time of snapshot.debian.org, as 20261130T000000Z")
    chosen = parser.parse_args(words)
    base = chosen.base or ("" if chosen.command == "release" else building.MADE_HERE)
    try:
        COMMANDS[chosen.command](Store(), base, chosen.snapshot)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
