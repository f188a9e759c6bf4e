"""What failed in `make test` is tried once more."""

from __future__ import annotations

import pytest

from harness import again
from harness.report import Case, Tier

GOOD = Case("unit.test_a", "test_good", 1.0)
BAD = Case("unit.test_a", "test_bad", 2.0, "failed", "timed out")
OTHER = Case("unit.test_b", "test_other", 2.0, "failed", "no")
PASSED = Case("unit.test_a", "test_bad", 1.0)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tests/unit").mkdir(parents=True)
    for name in "abcd":
        (tmp_path / f"tests/unit/test_{name}.py").touch()
    return tmp_path


def tier(*cases: Case, code: int | None = 1) -> Tier:
    return Tier("unit", 60.0, list(cases), code)


MANY = [Case(f"unit.test_{name}", "test_it", 1.0, "error") for name in "abcd"]


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        pytest.param([tier(GOOD, code=0)], {}, id="all passed"),
        pytest.param([tier(GOOD, BAD, OTHER)], {"unit": ["tests/unit/test_a.py", "tests/unit/test_b.py"]}, id="two"),
        pytest.param([tier(*MANY)], {}, id="too many for an accident"),
        pytest.param([tier(BAD, code=None)], {}, id="interrupted"),
        pytest.param([tier(BAD), Tier("e2e", 1.0, None, 3)], {}, id="one that died"),
        pytest.param([tier(Case("unit.test_x", "test_it", 1.0, "error"))], {}, id="not a module of ours"),
        pytest.param([tier(Case("unit.test_a", "test_it", 0.0, "skipped"), code=0)], {}, id="skipped"),
    ],
)
def test_only_a_few_failures_are_tried_again(root, tiers, expected):
    assert again.modules(tiers, root) == expected


@pytest.mark.parametrize(
    ("second", "outcomes", "code"),
    [
        pytest.param(tier(GOOD, PASSED, code=0), {"test_bad": "unsteady"}, 0, id="passes"),
        pytest.param(tier(GOOD, BAD), {"test_bad": "failed"}, 1, id="fails again"),
        pytest.param(
            tier(Case("unit.test_a", "test_good", 1.0, "failed"), PASSED),
            {"test_good": "failed", "test_bad": "unsteady"}, 1, id="another one fails",
        ),
        pytest.param(tier(GOOD, PASSED, code=None), {"test_bad": "failed"}, 1, id="interrupted"),
        pytest.param(Tier("unit", 1.0, None, 3), {"test_bad": "failed"}, 1, id="died"),
    ],
)  # fmt: skip
def test_only_what_passes_by_itself_is_no_failure(second, outcomes, code):
    found = again.merged(tier(GOOD, BAD, Case("unit.test_b", "test_c", 1.0)), second)
    wanted = {"test_good": "passed", "test_c": "passed"} | outcomes
    assert ({one.test: one.outcome for one in found.cases}, found.code) == (wanted, code)


def test_an_unsteady_test_keeps_the_words_of_its_failure():
    found = again.merged(tier(GOOD, BAD), tier(GOOD, PASSED, code=0))
    assert [one.said for one in found.cases if one.outcome == "unsteady"] == ["timed out"]
