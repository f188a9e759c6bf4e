"""Keeps /pgwarden/conf in step with /pgwarden/source.

`plan` is pure: files of the source → files of the target. `Syncer` reads, compares and writes. What a reader of the
target can rely on: each file is whole (written beside and renamed), certificate and key are renamed one right after the
other, and a key that does not fit its certificate is never put there.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.paths import Paths
from pgwarden.api import names
from pgwarden.pgbackrest.config import source_digest

#: Of the configuration: one for each role.
CONF_KEYS = (names.KEY_HOST_CONF, names.KEY_SERVER_CONF, names.KEY_POD_CONF)
#: Keys that must be there before anything is written.
TLS_KEYS = (names.KEY_CA_CERT, names.KEY_TLS_CERT, names.KEY_TLS_KEY)
OPTIONAL_KEYS = (names.KEY_CREDENTIALS_CONF, names.KEY_STORAGE_CA)
#: Other files → their place below the target folder. Renamed in this order, so certificate and key are neighbours.
PLACES = {
    names.KEY_CREDENTIALS_CONF: f"{Path(names.CONF_INCLUDE_DIR).name}/{names.KEY_CREDENTIALS_CONF}",
    names.KEY_STORAGE_CA: names.KEY_STORAGE_CA,
    names.KEY_CA_CERT: names.KEY_CA_CERT,
    names.KEY_TLS_KEY: names.KEY_TLS_KEY,
    names.KEY_TLS_CERT: names.KEY_TLS_CERT,
}
CONF_NAME = Path(names.CONF_FILE).name


@dataclass(frozen=True)
class Plan:
    """What the target folder should hold. Empty where keys are missing."""

    digest: str = ""
    missing: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # keys and passwords: never in a log


def plan(conf_key: str, files: Mapping[str, bytes], section: str = "") -> Plan:
    """*conf_key* is one of CONF_KEYS; *section* is appended to it."""
    missing = tuple(key for key in (conf_key, *TLS_KEYS) if not files.get(key))
    if missing:
        return Plan(missing=missing)
    conf = files[conf_key]
    if section:
        conf = conf.rstrip() + b"\n\n" + section.encode()
    targets = {CONF_NAME: conf}
    targets.update({place: files[key] for key, place in PLACES.items() if key in files})
    used = {key: files[key] for key in (conf_key, *TLS_KEYS, *OPTIONAL_KEYS) if key in files}
    return Plan(digest=source_digest(used), files=targets)


def source_token(source: Path) -> str:
    """Changes when the source does. A projected volume's `..data` is a link that the kubelet replaces as a whole."""
    try:
        return str((source / "..data").readlink())
    except OSError:
        return repr(sorted((entry.name, entry.stat().st_mtime_ns) for entry in _entries(source)))


def read_source(source: Path) -> dict[str, bytes]:
    """All known keys, through one resolved `..data`, so that a swap meanwhile cannot mix old and new."""
    for _ in range(5):
        folder = (source / "..data").resolve() if (source / "..data").is_symlink() else source
        files: dict[str, bytes] = {}
        for key in (*CONF_KEYS, *TLS_KEYS, *OPTIONAL_KEYS):
            with contextlib.suppress(FileNotFoundError):
                files[key] = (folder / key).read_bytes()
        if folder.is_dir() or not source.is_dir():
            return files  # else the kubelet has removed the folder under us: read the new one
    return {}


def complete(conf_key: str, source: Path) -> bool:
    """Whether the source has all that `plan` asks for, without reading it."""
    return all((source / key).is_file() for key in (conf_key, *TLS_KEYS))


class Syncer:
    def __init__(self, paths: Paths, conf_key: str, section: str = "") -> None:
        self._paths = paths
        self._conf_key = conf_key
        self.section = section

    def sync(self) -> tuple[Plan, bool]:
        """The plan, and whether the target has changed. OSError or ssl.SSLError: the target is as it was."""
        for folder in self._paths.work_folders:
            folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        planned = plan(self._conf_key, read_source(self._paths.source), self.section)
        if planned.missing:
            return planned, False  # what was there stays: the last good configuration
        return planned, self._write(planned.files)

    def _write(self, files: Mapping[str, bytes]) -> bool:
        changed = {name: content for name, content in files.items() if _read(self._paths.conf / name) != content}
        gone = [place for place in PLACES.values() if place not in files and (self._paths.conf / place).exists()]
        if not changed and not gone:
            return False
        _folder(self._paths.conf)
        _folder(self._paths.include)
        staged: dict[str, Path] = {}
        try:
            for name, content in changed.items():
                staged[name] = _stage(self._paths.conf, content)
            self._check_pair(staged)
            for name, temporary in staged.items():
                temporary.replace(self._paths.conf / name)
        finally:
            for temporary in staged.values():
                temporary.unlink(missing_ok=True)
        for place in gone:
            (self._paths.conf / place).unlink(missing_ok=True)
        return True

    def _check_pair(self, staged: Mapping[str, Path]) -> None:
        conf = self._paths.conf
        certificate = staged.get(names.KEY_TLS_CERT, conf / names.KEY_TLS_CERT)
        key = staged.get(names.KEY_TLS_KEY, conf / names.KEY_TLS_KEY)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_file()]
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):  # an emptyDir's own root is root's
        path.chmod(0o700)


def _stage(folder: Path, content: bytes) -> Path:
    """A file beside its place (mkstemp makes it 0600), on the same file system, not ending in .conf."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return Path(name)
