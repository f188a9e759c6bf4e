"""Save what each end-to-end module took in the last `make test`, for the order in which they are handed out.

`python -m harness.durations`, or `make durations`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from harness import report
from harness.lanes import REPORTS, ROOT

SAVED = ROOT / "tests" / "e2e" / "durations.json"


def by_module(cases: Iterable[report.Case]) -> dict[str, int]:
    """The name of each module and its whole seconds, the longest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for case in cases:
        seconds[case.module.rpartition(".")[2]] += case.seconds
    return {module: round(total) for module, total in sorted(seconds.items(), key=lambda one: -one[1])}


def main(junit: Path = REPORTS / "e2e.xml", saved: Path = SAVED) -> int:
    cases = report.read(junit)
    if cases is None:
        print(f"{junit}: there is no report; run `make test` first", file=sys.stderr)  # noqa: T201
        return 1
    saved.write_text(json.dumps(by_module(cases), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
