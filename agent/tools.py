"""`python3 -m agent install-tools --to FOLDER`: the image's self-contained pgBackRest, copied into a pod's emptyDir.

The sidecar's postStart runs it, which the kubelet waits for before it starts PostgreSQL. The agent does the same, as a
kubelet that was restarted meanwhile repeats no postStart; a lock keeps them apart. Each file is written beside its
place and renamed, the stamp comes last: a run starts over what was ended halfway, and does nothing where all is there.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from pgwarden import __version__
from pgwarden.api import names

STAMP = ".pgwarden-tools"
LOCK = ".pgwarden-tools.lock"


def install(source: Path, target: Path) -> str:
    """What was done, for a log. OSError where it cannot be."""
    files = sorted(_walk(source))
    if not files:
        raise FileNotFoundError(f"no tools in {source}")
    target.mkdir(parents=True, exist_ok=True)
    with (target / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(source, target, files)


def _install(source: Path, target: Path, files: list[Path]) -> str:
    stamp, stamp_file = _stamp(source, files), target / STAMP
    if stamp_file.is_file() and stamp_file.read_text() == stamp:
        return f"{target} is up to date ({len(files)} files)"
    stamp_file.unlink(missing_ok=True)
    size = sum(_copy(source / relative, target / relative) for relative in files)
    beside = _beside(stamp_file)
    beside.write_text(stamp)
    beside.replace(stamp_file)
    return f"{len(files)} files, {size / 1e6:.1f} MB copied to {target}"


def _walk(source: Path) -> Iterator[Path]:
    """Files and links below *source*, relative to it."""
    for folder, folders, files in os.walk(source):
        for name in (*files, *(name for name in folders if Path(folder, name).is_symlink())):
            if name != STAMP:
                yield Path(folder, name).relative_to(source)


def _stamp(source: Path, files: list[Path]) -> str:
    lines = [__version__]
    for relative in files:
        facts = (source / relative).lstat()
        lines.append(f"{relative} {facts.st_size} {stat.S_IMODE(facts.st_mode):o}")
    return f"{__version__} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}\n"


def _copy(source: Path, target: Path) -> int:
    """One file or link; its size. Any uid may read the result, and run what its owner may run."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(target)
    if source.is_symlink():
        beside.symlink_to(source.readlink())
        beside.replace(target)
        return 0
    shutil.copyfile(source, beside)
    mode = stat.S_IMODE(source.stat().st_mode) | 0o444
    beside.chmod(mode | 0o111 if mode & stat.S_IXUSR else mode)
    beside.replace(target)
    return target.stat().st_size


def _beside(path: Path) -> Path:
    """A free name next to *path*. A leftover of an earlier run goes."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    return beside


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="agent install-tools")
    parser.add_argument("--to", type=Path, default=Path(names.TOOLS_TARGET))
    parser.add_argument("--from", type=Path, default=Path(names.TOOLS_DIR), dest="source")
    arguments = parser.parse_args(argv)
    os.umask(0o022)  # folders, too, are for any uid
    try:
        sys.stdout.write(install(arguments.source, arguments.to) + "\n")
    except OSError as error:
        sys.stderr.write(f"agent install-tools: {error}\n")
        return 1
    return 0
