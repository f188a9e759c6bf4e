"""A whole recovery with a real PostgreSQL: what comes back, what it survives, and what it refuses."""

from __future__ import annotations


def test_all_archived_rows_come_back_on_a_new_timeline(source, recovering):
    source.sql("CREATE TABLE t (id int)")
    source.back_up()
    source.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    source.archive()
    one = recovering("--keep-restore-command")
    one.start()
    code, result = one.result()
    assert (code, result["ok"], result["timeline"], result["set"]) == (0, True, 2, "20261128-200000F"), one.picture()
    assert result["reached"].endswith("Z")
    one.serve()
    assert source.sql("SELECT count(*) FROM t") == "1000"
