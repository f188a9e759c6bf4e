"""Container images where none can be pulled: base images by debootstrap, the project's own by buildah.

`python3 -m localcluster.images [build] [NAME…] [--load]` builds what changed and prints NAME and archive;
`python3 -m localcluster.images bases [RELEASE…]` prints the base archives. Everything is kept under the
cache, keyed by what it was made from: an unchanged image costs one checksum of its archive. A build reads a
snapshot of its inputs, so editing on during a build never gives an archive the wrong key.
"""

from __future__ import annotations

import argparse
import fcntl
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from localcluster import bases, history
from localcluster.build_machine import (
    PIP_MOUNT,
    apt_repositories,
    apt_settings,
    machine_pip,
    proxy_arguments,
    require,
)
from localcluster.cache import cache_root, sha256
from localcluster.commands import run
from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import (
    IMAGES,
    RELEASES,
    SNAPSHOT_TIME,
    Image,
    Jar,
    digest,
    mirror_of,
    prune,
    seal,
    sealed,
    snapshot,
    tree_digest,
)

REPOSITORY = Path(__file__).resolve().parent.parent
# Part of every key: raise it when this file builds something else from the same inputs.
RECIPE = "2"
#: The same of the bases of stable releases alone.
BASE_RECIPE = "1"
ARCHIVES_KEPT = 6
BUILD_LIMIT = 3600.0

# Programs that builds need, and the Debian packages that bring them.
NEEDED_PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap"}
# What a damaged layer store says, as opposed to a failing step of a Dockerfile.
STORE_DAMAGE = re.compile(
    r"layer not known|image not known|identifier is not|locating item named|creating build container"
    r"|mounting (new|build) container|readlink \S*overlay|unlinkat|layers\.json|images\.json",
    re.IGNORECASE,
)


class Store:
    """The images folder of the cache: base archives, buildah's layers and finished archives."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root() / "images"
        self.archives = self.root / "archives"
        self.bases = self.root / "bases"
        self.logs = self.root / "logs"
        self.sources = self.root / "sources"  # of releases
        for folder in (self.archives, self.bases, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self._driver = ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One build at a time: buildah's layer store and the snapshots are shared."""
        with (self.root / "lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another process is building images; waiting")
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def buildah(self, *words: str | Path, log: Path | None = None, limit: float = 300) -> str:
        return run([*self._command(self.driver()), *words], log=log, limit=limit, what=f"buildah {words[0]}")

    def driver(self) -> str:
        """overlay where the file system below the cache carries it, else vfs, which copies every layer."""
        if not self._driver:
            self._driver = "vfs"
            with suppress(LocalClusterError):
                run([*self._command("overlay"), "info"])
                self._driver = "overlay"
        return self._driver

    def _command(self, driver: str) -> list[str]:
        # State of running builds lives in /run: after a reboot no mount of it is left either.
        state = f"/run/pgwarden-images-{digest(str(self.root.resolve()))}-{driver}"
        return [
            "buildah",
            "--root",
            str(self.root / f"layers-{driver}"),
            "--runroot",
            state,
            "--storage-driver",
            driver,
        ]

    def forget_layers(self) -> None:
        layers = self.root / f"layers-{self.driver()}"
        for line in Path("/proc/self/mounts").read_text().splitlines():
            point = line.split()[1]
            if point.startswith(f"{layers}/"):
                subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(layers, ignore_errors=True)

    # ---- base images ----

    def base(self, release: str) -> Path:
        """The archive of a minimal Debian of that release, made by debootstrap if need be."""
        require({"debootstrap": "debootstrap"})
        repositories, settings = apt_repositories(), apt_settings()
        mirror, security = mirror_of(repositories), bases.security_of(release, repositories)
        recipe = [RECIPE, release, mirror, settings, *([BASE_RECIPE, security] if release in bases.STABLE else [])]
        path = self.bases / f"debian-{release}-{digest(*recipe)}.tar.gz"
        if not sealed(path):
            if path.exists():
                say(f"{path.name}: broken in the cache; making it again")
            with step(f"debootstrap {release}"):
                bases.make(release, mirror, security, settings, path, self.logs / f"debootstrap-{release}.log")
        return path

    def base_image(self, release: str) -> str:
        """The base as an image of the layer store."""
        archive = self.base(release)
        tag = f"localhost/{archive.name.removesuffix('.tar.gz').replace('-', ':', 1)}"
        if tag not in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            with step(f"importing {tag}"):
                bases.import_image(self.buildah, release, archive, tag, self.logs / f"base-{release}.log")
        return tag

    # ---- images ----

    def build(self, image: Image) -> Path:
        """The archive of the image, built unless its inputs are the same as before."""
        parent = self.build(IMAGES[image.parent]) if image.parent else None
        with self.locked():
            context = self.root / "contexts" / image.name
            if not image.commit and not parent:
                snapshot(REPOSITORY / image.context, image.inputs, context)
            archive = self.archives / f"{image.name}-{self.key(image, context, parent)}.tar"
            if sealed(archive):
                say(f"{image.tag}: unchanged")
                return archive
            require(NEEDED_PROGRAMS)
            if image.commit:
                history.snapshot_of(REPOSITORY, image.commit, image.inputs, context, self.sources)
            if image.jar:
                shutil.copyfile(self.jar(image.jar), context / "embedded.jar")
            with step(f"building {image.tag}"):
                if parent:
                    self._change(image, parent, archive)
                else:
                    self._build_healing(image, context, archive)
            prune(self.archives, f"{image.name}-{'[0-9a-f]' * 16}.tar", ARCHIVES_KEPT)
            return archive

    def key(self, image: Image, context: Path, parent: Path | None = None) -> str:
        """What is in a commit never changes, so that it is not looked at; nor is an archive with a key in its name."""
        if parent:
            return digest(RECIPE, image.tag, image.change, parent.name)
        if image.commit:
            return digest(RECIPE, image.tag, image.release, image.dockerfile, image.target, image.commit)
        jar = image.jar.checksum if image.jar else ""
        return digest(RECIPE, image.tag, image.release, image.dockerfile, image.target, jar, tree_digest(context))

    def _build_healing(self, image: Image, context: Path, archive: Path) -> None:
        try:
            self._build(image, context, archive)
        except LocalClusterError as error:
            if not STORE_DAMAGE.search(str(error)):
                raise
            say("the layer store is damaged; building again from an empty one")
            self.forget_layers()
            self._build(image, context, archive)

    def _change(self, image: Image, parent: Path, archive: Path) -> None:
        name, log = f"{image.name}-change", self.logs / f"{image.name}.log"
        self.buildah("rm", "--all")
        self.buildah("from", "--name", name, f"docker-archive:{parent}", limit=BUILD_LIMIT)
        try:
            run_it = ("run", "--isolation", "chroot", "--user", "0:0", name, "--", "/bin/sh", "-c", image.change)
            self.buildah(*run_it, log=log)
            temporary = archive.with_name(f".{image.name}.tmp")
            temporary.unlink(missing_ok=True)
            self.buildah("commit", name, f"docker-archive:{temporary}:{image.tag}", limit=BUILD_LIMIT)
        finally:
            self.buildah("rm", name)
        seal(temporary, archive)

    def _build(self, image: Image, context: Path, archive: Path) -> None:
        base = self.base_image(image.release)
        # A release's is made as it was: with an argument of its Dockerfile's, and bytecode that files' times belong to.
        time = [] if image.commit else ["--timestamp", str(SNAPSHOT_TIME)]
        self.bud(image, context, image.tag, {"BASE": base, "POSTGRES_BASE": base}, "--layers", *time)
        self.push(image.tag, archive, image.tag)

    def bud(self, image: Image, context: Path, tag: str, arguments: Mapping[str, str], *more: str) -> None:
        """Build the image into the layer store."""
        pip = self.root / "pip"
        machine_pip(pip)
        self.buildah("rm", "--all")
        given = {**arguments, "PIP_CONFIG_FILE": f"{PIP_MOUNT}/pip.conf"}
        self.buildah(
            *("bud", "--isolation", "chroot", "--force-rm", *more),
            *("-v", f"{pip}:{PIP_MOUNT}:ro"),
            *(["--target", image.target] if image.target else []),
            *(f"--build-arg={name}={value}" for name, value in given.items()),
            *proxy_arguments(),
            *("-t", tag, "-f", context / image.dockerfile, context),
            log=self.logs / f"{image.name}.log",
            limit=BUILD_LIMIT,
        )

    def push(self, tag: str, archive: Path, name: str) -> None:
        """The image of the layer store as an archive, in which it has *name*."""
        temporary = archive.with_name(f".{archive.stem}.tmp")
        temporary.unlink(missing_ok=True)
        self.buildah("push", tag, f"docker-archive:{temporary}:{name}", limit=BUILD_LIMIT)
        seal(temporary, archive)

    def jar(self, jar: Jar) -> Path:
        if platform.machine() != "x86_64":
            raise LocalClusterError(f"{jar.file_name} is for x86_64 only")
        path = self.root / "jars" / jar.file_name
        if path.is_file() and sha256(path) == jar.checksum:
            return path
        require({"mvn": "maven"})
        with step(f"fetching {jar.file_name}"):
            run(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "dependency:copy",
                    f"-Dartifact={jar.coordinates}:jar",
                    "-Dmdep.overWriteReleases=true",
                    f"-DoutputDirectory={path.parent}",
                ],
                cwd=self.root,
                limit=600,
            )
        if sha256(path) != jar.checksum:
            raise LocalClusterError(f"{jar.file_name} has another checksum than expected")
        return path


def load(archives: Iterable[Path]) -> None:
    """Into the running cluster; its answer goes to stderr, stdout is for names and archives."""
    command = [sys.executable, "-m", "localcluster", "load", *map(str, archives)]
    if subprocess.run(command, check=False, cwd=REPOSITORY, stdout=sys.stderr).returncode != 0:
        raise LocalClusterError("the images were built but not loaded", way_out="python3 -m localcluster up")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """`build` is the command if none is named."""
    words = list(words)
    if not words or words[0] not in {"build", "bases", "-h", "--help"}:
        words.insert(0, "build")
    parser = argparse.ArgumentParser(prog="localcluster.images", description="build container images into the cache")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what changed; prints NAME and archive")
    build.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(IMAGES)}; by default what each cluster needs"
    )
    build.add_argument("--load", action="store_true", help="and load them into the running cluster")
    bases = commands.add_parser("bases", help="make the base archives; prints RELEASE and archive")
    bases.add_argument("names", nargs="*", metavar="RELEASE", help=", ".join(RELEASES))
    chosen = parser.parse_args(words)
    known = IMAGES if chosen.command == "build" else RELEASES
    for name in chosen.names:
        if name not in known:
            parser.error(f"no such name: {name} (choose from {', '.join(known)})")
    usual = [image.name for image in IMAGES.values() if not image.on_demand]
    chosen.names = chosen.names or (usual if chosen.command == "build" else list(known))
    return chosen


def main(words: Sequence[str] | None = None) -> int:
    chosen = arguments(sys.argv[1:] if words is None else words)
    try:
        store = Store()
        if chosen.command == "bases":
            with store.locked():
                found = {name: store.base(name) for name in chosen.names}
        else:
            found = {name: store.build(IMAGES[name]) for name in chosen.names}
            if chosen.load:
                load(found.values())
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    for name, path in found.items():
        print(f"{name}\t{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
