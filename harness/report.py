"""What the tests of all tiers took, and whether all of them passed: from pytest's JUnit files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as ET

SLOWEST = 20
#: The child element of a JUnit test case that says how it ended; a case without one has passed.
OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}
#: It failed, and passed when it was tried once more (harness.again).
UNSTEADY = "unsteady"
BAD = ("failed", "error")
COLUMNS = ("passed", *BAD, "skipped", UNSTEADY)
#: Of what a test said as it failed.
SAID_CHARACTERS = 300


@dataclass(frozen=True)
class Case:
    module: str
    test: str
    seconds: float  # with its fixtures
    outcome: str = "passed"
    said: str = ""  # why it did not pass


@dataclass(frozen=True)
class Tier:
    """One run of pytest; `cases` is None where it ended without a report."""

    name: str
    seconds: float
    cases: list[Case] | None = field(default_factory=list)
    code: int | None = 0  # pytest's exit code; None where it did not end by itself

    def counts(self) -> Counter[str]:
        return Counter(case.outcome for case in self.cases or [])


def read(path: Path) -> list[Case] | None:
    """None where pytest wrote no whole report."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314  pytest wrote it
    except (OSError, ET.ParseError):
        return None
    # One without a name was running when pytest was interrupted.
    return list(_merged(_case(element) for element in root.iter("testcase") if element.get("name")))


def _case(element: ET.Element) -> Case:
    ended = next((child for child in element if child.tag in OUTCOMES), None)
    module = element.get("classname", "").removeprefix("tests.")
    case = Case(module, element.get("name", ""), float(element.get("time", 0)))
    if ended is None:
        return case
    return replace(case, outcome=OUTCOMES[ended.tag], said=" ".join(ended.get("message", "").split())[:SAID_CHARACTERS])


def _merged(cases: Iterable[Case]) -> Iterable[Case]:
    """One for each test: a test that fails and then fails in its teardown, too, is in the file twice."""
    found: dict[tuple[str, str], Case] = {}
    for case in cases:
        before = found.get((case.module, case.test))
        found[case.module, case.test] = before if before and before.outcome != "passed" else case
    return found.values()


def faults(tiers: Sequence[Tier], *, may_skip: bool = False) -> list[str]:
    """Why the whole is not good; empty where it is."""
    return [f"{tier.name}: {fault}" for tier in tiers for fault in _faults(tier, may_skip)]


def _faults(tier: Tier, may_skip: bool) -> list[str]:
    if tier.cases is None and tier.code is not None:
        return [f"pytest ended without a report, with exit code {tier.code}"]
    counts = tier.counts()
    found = ["interrupted before its end"] if tier.code is None else []
    found += [f"{counts[one]} {one}" for one in BAD if counts[one]]
    if counts["skipped"] and not may_skip:
        found.append(f"{counts['skipped']} skipped; nothing may be skipped here")
    if not tier.cases and not found:
        found.append("no test ran")
    if tier.code and not found:
        found.append(f"pytest ended with exit code {tier.code}")
    return found


def named(tiers: Sequence[Tier]) -> list[str]:
    """A line for each test that failed, at once or at first, with what it said; not more than fit on a screen."""
    bad = [one for tier in tiers for one in tier.cases or [] if one.outcome in (*BAD, UNSTEADY)]
    lines = [f"{one.outcome:8}  {one.module}::{one.test}: {one.said}" for one in bad]
    return lines[:SLOWEST] + ([f"and {len(bad) - SLOWEST} more"] if len(bad) > SLOWEST else [])


def table(tiers: Sequence[Tier], seconds: float) -> str:
    """The slowest tests, each tier's counts and time, and the time of all."""
    cases = [(case, tier.name) for tier in tiers for case in tier.cases or []]
    slowest = sorted(cases, key=lambda one: -one[0].seconds)[:SLOWEST]
    width = max(len(name) for name in ("together", *(tier.name for tier in tiers)))
    lines = [f"The slowest {len(slowest)} of {len(cases)} tests, in seconds, each with the fixtures that it began:"]
    lines += [f"{case.seconds:8.1f}  {name:{width}}  {case.module}::{case.test}" for case, name in slowest]
    lines += ["", f"{'tier':{width}}  {'minutes':>8}" + "".join(f"{one:>9}" for one in COLUMNS)]
    for tier in tiers:
        counts = tier.counts()
        lines.append(f"{tier.name:{width}}  {tier.seconds / 60:8.1f}" + "".join(f"{counts[one]:9}" for one in COLUMNS))
    together: Counter[str] = sum((tier.counts() for tier in tiers), Counter())
    lines.append(f"{'together':{width}}  {seconds / 60:8.1f}" + "".join(f"{together[one]:9}" for one in COLUMNS))
    return "\n".join(lines)
