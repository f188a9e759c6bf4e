"""Every test has a limit in time: one that hangs ends, says where it hung, and lets its fixtures go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.install import ROOT
from harness.waiting import SLOWER

TIERS = sorted({path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")})
HANGS = """
import pytest, time

@pytest.fixture
def made():
    yield
    print("the fixture is torn down")

@pytest.mark.timeout(1)
def test_hangs(made):
    time.sleep(600)

def test_the_next_one_runs():
    pass
"""


def test_this_very_session_has_one_for_each_test(request: pytest.FixtureRequest):
    assert [item.nodeid for item in request.session.items if item.get_closest_marker("timeout") is None] == []


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_has_its_own(tier: str, request: pytest.FixtureRequest):
    (plugin,) = (one for one in request.config.pluginmanager.get_plugins() if hasattr(one, "LIMITS"))
    assert plugin.LIMITS[tier] >= 60


def test_a_test_that_hangs_ends_with_its_stack_and_its_fixtures_torn_down(tmp_path: Path):
    (tmp_path / "test_hangs.py").write_text(HANGS)
    own = [
        f"--rootdir={tmp_path}",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
    ]
    argv = [sys.executable, "-m", "pytest", "-s", *own, str(tmp_path / "test_hangs.py")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=100 * SLOWER, check=False)
    assert "time.sleep(600)" in done.stdout
    assert "the fixture is torn down" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
