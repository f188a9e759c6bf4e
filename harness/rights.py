"""What pgwarden asked of the API servers in the last `make test`, which `python -m harness.rights` keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Of the run: each cluster adds to it as it is removed (localcluster.rights).
SEEN = ROOT / ".reports" / "rights.txt"
SAVED = ROOT / "tests" / "redteam" / "rights-used.txt"
KEEP = "`python -m harness.rights` keeps what this run asked for"


def read(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()


def differences(seen: Path = SEEN, saved: Path = SAVED) -> Iterator[str]:
    """What the end of a whole run says of the record. Nothing where there is none of the run."""
    now, before = read(seen), read(saved)
    if not now:
        return
    for what, listed in (("not asked for any more", before - now), ("new", now - before)):
        if listed:
            yield f"Rights, {what}: {', '.join(sorted(listed))}; {KEEP}."


def main(seen: Path = SEEN, saved: Path = SAVED) -> int:
    if not read(seen):
        print(f"{seen}: there is no record; run `make test` first", file=sys.stderr)  # noqa: T201
        return 1
    saved.write_text("".join(f"{one}\n" for one in sorted(read(seen))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
