"""`info` of a storage whose backup.info somebody else has written: the sets are none, and the others stand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pgwarden.pgbackrest import info

REAL = json.loads((Path(__file__).parent / "data" / "info-2.60.json").read_text(encoding="utf-8"))[0]
FULL = "20261123-180759F"


def both(*strange: dict[str, Any]) -> info.Info:
    """Storage 1 as it is, and these sets in storage 2 beside an honest one."""
    told = copy.deepcopy(REAL)
    told["repo"].append(told["repo"][0] | {"key": 2})
    second = copy.deepcopy(told["backup"][0]) | {"database": {"id": 1, "repo-key": 2}}
    told["backup"] += [second, *(second | one for one in strange)]
    found = info.parse_info([told], "hippo")
    assert found is not None
    return found


STRANGE = {
    "a label that steers": {"label": "20260101-000000F\x1b[2J"},
    "a label of two lines": {"label": "20260101-000000F\nready"},
    "a label that turns the text about": {"label": "\u202e20260101"},
    "a label of a megabyte": {"label": "x" * 2**20},
    "no label": {"label": ""},
    "a type that is none": {"type": "whole"},
    "a set before that steers": {"prior": "\x07"},
    "a list for the set before": {"prior": ["a"]},
    "a segment of a megabyte": {"archive": {"start": "0" * 2**20, "stop": None}},
    "a position that steers": {"lsn": {"start": "0/1\r", "stop": "0/2"}},
    "more bytes than a status takes": {"info": {"size": 2**63, "delta": 1, "repository": {"delta": 1}}},
    "fewer bytes than none": {"info": {"size": 1, "delta": 1, "repository": {"delta": -1}}},
    "a time of no calendar": {"timestamp": {"start": 2**60, "stop": 2**60}},
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_it_is_no_set_and_its_storage_says_so(strange: dict[str, Any]):
    found = both(strange)
    assert [(one.label, one.repo) for one in found.backups if one.type == "full"] == [(FULL, 1), (FULL, 2)]
    assert (
        found.trouble(2) == "backup.info names a backup set that pgBackRest did not write: somebody else has changed it"
    )
    assert found.trouble(1) is None


def test_several_are_counted():
    assert "names 2 backup sets that" in (both(STRANGE["no label"], STRANGE["a type that is none"]).trouble(2) or "")


def test_an_annotation_of_somebody_elses_is_left_out_and_its_set_stands():
    marks = {"pgwarden-uid": "u", "a\x1b": "b", "note": "two\nlines", "long": "x" * 5000, "said": "é 🐘"}
    found = both({"annotation": marks, "label": "20260101-000000F"})
    assert found.trouble(2) is None
    assert found.backup("20260101-000000F", 2).annotations == {"pgwarden-uid": "u", "said": "é 🐘"}
