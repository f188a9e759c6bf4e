"""Base images where none can be pulled: a minimal Debian by debootstrap, the same bytes from the same packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from localcluster.commands import run
from localcluster.image_inputs import SNAPSHOT_TIME, seal

#: Releases that have a security archive.
STABLE = ("trixie",)
# As in the official images: packages and package caches would stay in the layers.
APT_KEEPS_NOTHING = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
"""
#: What tells when or where it was made.
TRACES = ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/cache/ldconfig/aux-cache")


def security_of(release: str, repositories: Iterable[str]) -> str:
    """The line of apt's sources for *release*'s security archive, if the machine's apt knows where that is."""
    if release not in STABLE:
        return ""
    found = (address.strip() for address in repositories if "security" in address)
    return next((f"deb {address} {release}-security main\n" for address in found), "")


def make(release: str, mirror: str, security: str, settings: str, path: Path, log: Path) -> None:
    """The archive at *path*. *security*: a line of apt's sources; what it has is newer than what debootstrap took."""
    folder = path.parent / f".{release}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    scripts = Path("/usr/share/debootstrap/scripts")
    script = scripts / (release if (scripts / release).exists() else "sid")
    at_one_time = {"SOURCE_DATE_EPOCH": str(SNAPSHOT_TIME), "DEBIAN_FRONTEND": "noninteractive"}
    run(["debootstrap", "--variant=minbase", release, folder, mirror, script], limit=1800, log=log, env=at_one_time)
    (folder / "etc/apt/apt.conf.d/99machine").write_text(settings + APT_KEEPS_NOTHING)
    if security:
        (folder / "etc/apt/sources.list.d/security.list").write_text(security)
        for words in (["update"], ["upgrade", "-y", "--no-install-recommends"]):
            run(
                ["chroot", folder, "apt-get", "-q", "-o", "Dpkg::Use-Pty=0", *words],
                limit=900,
                log=log,
                env=at_one_time,
            )
    slim(folder)
    temporary = path.with_name(f".{path.name}.tmp")
    alike = ["--sort=name", f"--mtime=@{SNAPSHOT_TIME}", "--numeric-owner"]
    run(["tar", "-C", folder, *alike, "-I", "gzip -1n", "-cf", temporary, "."], limit=600)
    seal(temporary, path)
    shutil.rmtree(folder)


def slim(folder: Path) -> None:
    """What debian:…-slim leaves out, and nothing of this machine but its way to the mirror."""
    for name in TRACES:
        (folder / name).unlink(missing_ok=True)
    for old in (folder / "var/cache/debconf").glob("*-old"):
        old.unlink()
    for name in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    (folder / "var/cache/apt/archives/partial").mkdir()
    shutil.rmtree(folder / "usr/share/man", ignore_errors=True)
    excluded = ("doc", "man", "locale", "info")
    for path in [found for name in excluded for found in (folder / "usr/share" / name).rglob("*")]:
        if not path.is_dir() and path.name != "copyright":
            path.unlink()
    lines = [f"path-exclude /usr/share/{name}/*" for name in excluded]
    lines.append("path-include /usr/share/doc/*/copyright")
    (folder / "etc/dpkg/dpkg.cfg.d/slim").write_text("\n".join(lines) + "\n")


def import_image(buildah: Callable[..., str], release: str, archive: Path, tag: str, log: Path) -> None:
    """The archive as an image of the layer store."""
    recipe = archive.parent / f".{release}.Dockerfile"
    recipe.write_text(f'FROM scratch\nADD {archive.name} /\nCMD ["bash"]\n')
    words = ["bud", "--isolation", "chroot", "--timestamp", str(SNAPSHOT_TIME), "-t", tag, "-f", recipe, archive.parent]
    buildah(*words, log=log, limit=3600)
