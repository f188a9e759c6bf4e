"""What failed in `make test` is tried once more, with the machine to itself.

The lanes share two cores, and what waits under a limit of time may fail there for want of them. What passes by itself
afterwards counts as unsteady: it is named at the end with what it said at first, and it does not fail the whole. What
fails again does. Whole modules are tried, as the tests of one build on each other. Many failures are no accident:
beyond MOST modules nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.report import BAD, UNSTEADY, Case, Tier

#: Modules of all tiers together.
MOST = 3


def modules(tiers: Sequence[Tier], root: Path) -> dict[str, list[str]]:
    """Paths of the modules to try again, by tier; empty where there are none or too many, or a tier did not end."""
    if any(tier.cases is None or tier.code is None for tier in tiers):
        return {}
    found = {tier.name: sorted({one.module for one in tier.cases or [] if one.outcome in BAD}) for tier in tiers}
    paths = {name: [f"tests/{one.replace('.', '/')}.py" for one in each] for name, each in found.items() if each}
    every = [path for each in paths.values() for path in each]
    return paths if len(every) <= MOST and all((root / path).is_file() for path in every) else {}


def merged(first: Tier, second: Tier) -> Tier:
    """*first* with the modules of *second* as they ended there."""
    if not second.cases or second.code is None:
        return first
    before = {(one.module, one.test): one for one in first.cases or []}
    tried = {one.module for one in second.cases}
    kept = [one for one in first.cases or [] if one.module not in tried]
    cases = kept + list(_judged(second.cases, before))
    good = all(one.outcome not in BAD for one in cases)
    return Tier(first.name, first.seconds + second.seconds, cases, 0 if good and second.code == 0 else first.code)


def _judged(cases: Iterable[Case], before: dict[tuple[str, str], Case]) -> Iterable[Case]:
    for one in cases:
        was = before.get((one.module, one.test))
        if was and was.outcome in BAD and one.outcome == "passed":
            yield replace(one, outcome=UNSTEADY, said=was.said)
        else:
            yield one
