"""The project's own code, for tests that read it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("agent", "controller", "pgwarden", "webhook")


def modules() -> list[Path]:
    """Every module that is shipped."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
