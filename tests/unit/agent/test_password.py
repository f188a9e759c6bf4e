"""A password that PostgreSQL's container has as a file is libpq's, unless there is one."""

from __future__ import annotations

import os

import pytest

from agent import password


@pytest.fixture(autouse=True)
def none_yet(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "")


@pytest.mark.parametrize(("content", "known"), [("s3cret\n", "s3cret"), ("", ""), ("a\x00b", ""), (" a b ", " a b ")])
def test_it_is_the_files_without_its_last_line_break(tmp_path, content, known):
    (tmp_path / "password").write_text(content)
    password.from_file(str(tmp_path / "password"))
    assert os.environ["PGPASSWORD"] == known


def test_one_that_is_there_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "of the spec")
    (tmp_path / "password").write_text("of the file")
    password.from_file(str(tmp_path / "password"))
    assert os.environ["PGPASSWORD"] == "of the spec"


@pytest.mark.parametrize("name", ["", "missing"])
def test_without_a_file_there_is_none(tmp_path, name):
    password.from_file(str(tmp_path / name) if name else "")
    assert os.environ["PGPASSWORD"] == ""
