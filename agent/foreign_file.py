"""Files that PostgreSQL's container may have put where the sidecar reads: of any kind and size, or a link elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

#: No link is followed at its end, and a FIFO that nobody writes to keeps nobody waiting.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFileError(OSError):
    """A link, a FIFO, a folder, a device."""


def read(path: Path, most: int) -> bytes:
    """The first *most* bytes of a regular file; OSError where it cannot be read, NotAFileError where it is none."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            raise NotAFileError(error.errno, f"{path} is no regular file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFileError(errno.EINVAL, f"{path} is no regular file")
        found = b""
        while len(found) < most and (more := os.read(descriptor, most - len(found))):
            found += more
        return found
    finally:
        os.close(descriptor)


def read_text(path: Path, most: int) -> str:
    """The same as text; what is not UTF-8 is replaced."""
    return read(path, most).decode("utf-8", "replace")
