"""The record of what pgwarden asked of API servers: what a run says of it, and how it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import rights


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ((), []),
        (("a", "b", "a"), []),
        (("a",), ["not asked for any more: b"]),
        (("a", "b", "d", "c"), ["new: c, d"]),
        (("a", "c"), ["not asked for any more: b", "new: c"]),
    ],
    ids=["no record of the run", "the same", "less", "more", "both"],
)
def test_a_run_that_asked_for_something_else_says_so(tmp_path: Path, seen: tuple[str, ...], told: list[str]):
    saved = written(tmp_path / "saved", "a", "b")
    found = list(rights.differences(written(tmp_path / "seen", *seen), saved))
    assert found == [f"Rights, {one}; {rights.KEEP}." for one in told]


def test_each_right_is_kept_once_and_in_order(tmp_path: Path):
    saved = written(tmp_path / "saved", "z")
    assert rights.main(written(tmp_path / "seen", "b", "a", "b"), saved) == 0
    assert saved.read_text(encoding="utf-8") == "a\nb\n"


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "not there"])
def test_without_a_record_of_a_run_the_one_before_stays(tmp_path: Path, capsys, empty: bool):
    saved, seen = written(tmp_path / "saved", "a"), tmp_path / "seen"
    if empty:
        written(seen)
    assert rights.main(seen, saved) == 1
    assert saved.read_text(encoding="utf-8") == "a\n"
    assert "run `make test` first" in capsys.readouterr().err
