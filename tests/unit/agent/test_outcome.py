"""What a Job reads out of the log, and what it leaves for the kubelet. The log lines are pgBackRest 2.60's own."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.outcome import MESSAGE_BYTES, Seen, message
from pgwarden.contract.job_result import JobResult

LOG = """\
2026-11-23 17:52:25.019 P00   INFO: new backup label = 20261123-175221F
2026-11-23 17:52:25.100 P00   INFO: full backup size = 21.9MB, file total = 964
2026-11-23 17:52:25.102 P00   INFO: repo1: expire full backup set 20261101-000000F, 20261101-000000F_20261102-000000I
2026-11-23 17:52:25.103 P00   INFO: repo1: expire diff backup 20261103-000000F_20261104-000000D
2026-11-23 17:52:25.104 P00   INFO: repo1: expire time-based backup 20261001-000000F
2026-11-23 17:52:25.107 P00   INFO: repo1: remove expired backup 20261101-000000F_20261102-000000I
2026-11-23 17:52:25.107 P00   INFO: repo1: remove expired backup 20261101-000000F
2026-11-23 17:52:25.108 P00   INFO: repo1: remove expired backup 20260901-000000F
2026-11-23 17:52:25.109 P00   INFO: repo1: remove expired backup history manifest 20250101-000000F.manifest.gz
2026-11-23 17:52:25.120 P00   INFO: repo1: 15-1 remove archive, start = 000000010000000000000007, stop = 00000001000000000000000A
"""


def test_label_and_expired_labels_are_read_once_each_in_order():
    seen = Seen()
    for line in LOG.splitlines():
        seen.line(line)
    assert seen.label == "20261123-175221F"
    assert seen.expired == [
        "20261101-000000F",
        "20261101-000000F_20261102-000000I",
        "20261103-000000F_20261104-000000D",
        "20261001-000000F",
        "20260901-000000F",
    ]


def test_the_label_of_an_incremental_backup_is_whole():
    seen = Seen()
    seen.line("2026-11-23 17:52:25.019 P00   INFO: new backup label = 20261123-175221F_20261124-010203I")
    assert seen.label == "20261123-175221F_20261124-010203I"


def test_an_error_about_a_label_is_not_a_label():
    seen = Seen()
    seen.line(
        "ERROR: [028]: new backup label '20261123-175221F' is not later than latest backup label '20261124-000000F'"
    )
    assert not seen.label


def test_the_set_of_a_restore_is_read():
    seen = Seen()
    seen.line("P00   INFO: repo1: restore backup set 20261123-175221F, recovery will start at 2026-11-23 17:52:21")
    assert seen.set == "20261123-175221F"


def test_a_backup_that_found_no_standby_says_that_it_was_taken_from_the_primary():
    seen = Seen()
    seen.line("P00   WARN: unable to find a standby to perform the backup, using primary instead")
    assert seen.note == "no standby answered, so it was taken from the primary"
    assert msgspec.json.decode(message(JobResult(ok=True, note=seen.note)))["note"] == seen.note


LABELS = st.lists(st.just("20261101-000000F_20261102-000000I"), max_size=400)


@given(error=st.text(max_size=9000), expired=LABELS, label=st.text(max_size=40))
def test_the_message_always_fits_and_is_json_with_the_error_before_all_else(error, expired, label):
    encoded = message(JobResult(ok=False, label=label, exit_code=1, error=error, expired=tuple(expired), seconds=1.5))

    result = msgspec.json.decode(encoded, type=JobResult)
    assert len(encoded) <= MESSAGE_BYTES
    assert (result.ok, result.exit_code, result.label) == (False, 1, label)
    assert len(result.expired) + result.expired_not_shown == len(expired)
    if result.error != error:
        assert error.startswith(result.error.removesuffix("…"))
        assert result.expired == ()  # the error is cut last
        assert len(encoded) > MESSAGE_BYTES - 200  # and not by more than it takes


def test_the_oldest_lines_of_the_log_make_way_for_the_error():
    lines = tuple(f"{number:03d} {'x' * 290}" for number in range(20))
    kept = msgspec.json.decode(message(JobResult(ok=False, error="e" * 3000, log=lines)), type=JobResult)
    assert kept.error == "e" * 3000
    assert 0 < len(kept.log) < 20
    assert kept.log == lines[-len(kept.log) :]


def test_a_result_that_fits_is_not_changed():
    result = JobResult(ok=True, expired=("20261101-000000F",))
    assert msgspec.json.decode(message(result), type=JobResult) == result


def test_text_that_cannot_be_encoded_does_not_break_the_message():
    assert msgspec.json.decode(message(JobResult(ok=False, error="\udcff")), type=JobResult).error == "?"
