"""`make audit`: known weaknesses of the locked Python packages, as pip-audit finds them.

pip-audit calls a package that its service does not answer for "skipped", and ends with 0. Here that is said aloud, and
nothing is called audited that was not: `python -m release.audit PIP-AUDIT [LOCK…]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: What images run. What develops them runs nowhere else.
LOCKS = ("requirements.lock",)
OPTIONS = ("--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off")
LIMIT = 300.0
#: Where no answer tells why.
SILENT = "pip-audit said nothing"


@dataclass
class Verdict:
    """What is known of a lock's packages."""

    weak: list[str] = field(default_factory=list)
    audited: int = 0
    skipped: list[str] = field(default_factory=list)
    reason: str = ""  # why the skipped ones were

    @property
    def lines(self) -> list[str]:
        """What a person reads."""
        told = [f"WEAK: {line}" for line in self.weak]
        if self.skipped or not self.audited:
            which = f"{len(self.skipped)} packages" if self.audited else "all packages"
            told.append(f"NOT audited: {which}: {self.reason or SILENT}")
        if self.audited:
            told.append(f"audited: {self.audited} packages, {len(self.weak)} known weaknesses")
        return told


def verdict(output: str, errors: str) -> Verdict:
    """Of what pip-audit printed."""
    found = Verdict()
    try:
        dependencies: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        found.reason = (errors.strip().splitlines() or [""])[-1][:300]
        return found
    for one in dependencies:
        if "vulns" not in one:
            found.skipped.append(one["name"])
            found.reason = found.reason or str(one.get("skip_reason", ""))
            continue
        found.audited += 1
        for known in one["vulns"]:
            mended = ", ".join(known.get("fix_versions") or ()) or "no version yet"
            found.weak.append(f"{one['name']} {one['version']}: {known['id']} (mended in {mended})")
    return found


def audit(program: str, lock: Path) -> Verdict:
    """Ask about one lock."""
    command = [program, *OPTIONS, "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return Verdict(reason=f"pip-audit had not ended after {LIMIT:.0f} s")
    except OSError as error:
        return Verdict(reason=str(error))
    return verdict(done.stdout, done.stderr)


def main(words: Sequence[str] | None = None) -> int:
    program, *locks = sys.argv[1:] if words is None else words
    weak = False
    for name in locks or LOCKS:
        found = audit(program, ROOT / name)
        weak = weak or bool(found.weak)
        print(*(f"{name}: {line}" for line in found.lines), sep="\n")
    return int(weak)


if __name__ == "__main__":
    sys.exit(main())
