"""Where things lie. The defaults are names.py's; a test puts everything below a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgwarden.api import names


@dataclass(frozen=True)
class Paths:
    pgbackrest: Path = Path(names.PGBACKREST)
    source: Path = Path(names.SOURCE_DIR)
    conf: Path = Path(names.CONF_DIR)
    work: Path = Path(names.WORK_DIR)
    repo: Path = Path(names.REPO_DIR)
    run: Path = Path(names.RUN_DIR)
    tools_target: Path = Path(names.TOOLS_TARGET)
    #: The kubelet reads at most 4096 bytes of it into the container's status.
    termination_log: Path = Path("/dev/termination-log")

    @classmethod
    def below(cls, root: Path, *, pgbackrest: Path | None = None) -> Paths:
        return cls(
            pgbackrest=pgbackrest or root / "tools/bin/pgbackrest",
            source=root / "source",
            conf=root / "conf",
            work=root / "work",
            repo=root / "repo",
            run=root / "run",
            tools_target=root / "tools-target",
            termination_log=root / "termination-log",
        )

    @property
    def conf_file(self) -> Path:
        return self.conf / Path(names.CONF_FILE).name

    @property
    def include(self) -> Path:
        return self.conf / Path(names.CONF_INCLUDE_DIR).name

    @property
    def work_folders(self) -> tuple[Path, ...]:
        return tuple(self.work / Path(folder).name for folder in (names.SPOOL_DIR, names.LOCK_DIR, names.LOG_DIR))
