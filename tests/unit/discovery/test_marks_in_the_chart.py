"""The chart's policy and discover look for the same: PGWARDEN_UPDATE_GOLDEN=1 writes the chart's file anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pgwarden.discovery import marks

FILE = Path(__file__).parents[3] / "charts" / "pgwarden" / "files" / "postgresql-marks.json"


def test_the_chart_has_the_marks_of_discover():
    text = json.dumps(marks.for_the_chart(), indent=2) + "\n"
    if os.environ.get("PGWARDEN_UPDATE_GOLDEN"):
        FILE.write_text(text)
    assert FILE.read_text() == text


def test_no_mark_ends_a_string_of_the_policy():
    patterns = [value for value in marks.for_the_chart().values() if isinstance(value, str)]
    assert not any('"' in one or "{{" in one for one in patterns)
