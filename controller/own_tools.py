"""The pgBackRest of the controller's own image, which is that of new sidecars, repository hosts and Jobs."""

from __future__ import annotations

import subprocess

import structlog

from pgwarden.api import names
from pgwarden.pgbackrest import version

log = structlog.get_logger()
_SECONDS = 20


def pgbackrest_version(program: str = names.PGBACKREST) -> str:
    """Empty where it is not known, as outside of the image: then nothing is compared, and nothing held back."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the version of pgBackRest is not known", error=str(error))
        return ""
    return version.told(done.stdout) if done.returncode == 0 else ""
