"""The picture of the recovery window, line for line."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgwarden.cli import show
from pgwarden.cli.window import ASCII, NARROWEST, UNICODE, WIDEST, Mark, Window, picture
from pgwarden.contract.archive import Gap
from tests.unit.contract import produced


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOVEMBER = Window(
    "local",
    at("2026-11-01T00:10:00"),
    at("2026-11-20T00:00:00"),
    (
        Mark(at("2026-11-01T00:10:00"), "full"),
        Mark(at("2026-11-05T00:10:00"), "diff"),
        Mark(at("2026-11-06T00:10:00"), "incr"),
        Mark(at("2026-11-08T00:10:00"), "full"),
        Mark(at("2026-11-10T00:10:00"), "incr"),
    ),
)
LATER = at("2026-11-21T02:00:00")


def text(window, now, width, glyphs=UNICODE):
    return "\n".join(picture(window, now, width, glyphs))


def test_weeks_with_backups_of_each_type():
    assert text(NOVEMBER, LATER, 80) == (
        "storage local: any moment from 2026-11-01 00:10:00Z\n"
        "  to 2026-11-20 00:00:00Z (18 d 23 h); 5 backups (2 full, 1 diff, 2 incr)\n"
        "  F              D   I      F       I\n"
        "  ●━━━━━━━━━━━━━━●━━━●━━━━━━●━━━━━━━●━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┫╌╌╌╌\n"
        "      ╵                         ╵                         ╵\n"
        "      11-02                     11-09                     11-16\n"
        "  F full   D diff   I incr   ━ recoverable   ╌ last 1 d 2 h: not archived yet"
    )


def test_narrow_terminal_without_unicode():
    assert text(NOVEMBER, LATER, 40, ASCII) == (
        "storage local: any moment from 2026-11-01 00:10:00Z\n"
        "  to 2026-11-20 00:00:00Z (18 d 23 h); 5 backups (2 full, 1 diff, 2 incr)\n"
        "  F      D I  F   I\n"
        "  o======o=o==o===o================|--\n"
        "    '                       '\n"
        "    11-02                   11-16\n"
        "  F full   D diff   I incr\n"
        "  = recoverable\n"
        "  - last 1 d 2 h: not archived yet"
    )


def test_hours_after_archiving_has_stopped():
    window = Window(
        "s3",
        at("2026-11-23T09:00:00"),
        at("2026-11-23T10:30:00"),
        (Mark(at("2026-11-23T09:00:00"), "full"),),
        archiving=False,
    )
    assert text(window, at("2026-11-23T12:00:00"), 60) == (
        "storage s3: any moment from 2026-11-23 09:00:00Z\n"
        "  to 2026-11-23 10:30:00Z (1 h 30 min); 1 backup (1 full)\n"
        "  F\n"
        "  ●━━━━━━━━━━━━━━━━━━━━━━━━━━━┫×××××××××××××××××××××××××××\n"
        "  ╵                 ╵                  ╵\n"
        "  09:00             10:00              11:00\n"
        "  F full   ━ recoverable   × last 1 h 30 min: NOT archived"
    )


def test_the_largest_backup_of_a_column_is_shown():
    day = at("2026-11-10T00:00:00")
    marks = tuple(Mark(day + timedelta(seconds=n), kind) for n, kind in enumerate(("incr", "full", "diff")))
    window = Window("local", at("2026-11-01T00:00:00"), at("2026-11-20T00:00:00"), marks)
    letters = picture(window, LATER, 80)[2]
    assert letters.split() == ["F"]


@pytest.mark.parametrize("width", [1, NARROWEST, 63, 80, WIDEST, 400], ids=lambda width: f"{width}-columns")
@pytest.mark.parametrize("days", [0, 0.001, 0.3, 3, 40, 400, 6000], ids=lambda days: f"{days}-days")
def test_the_drawing_keeps_to_the_width_whatever_the_span(width, days):
    end = at("2026-11-20T00:00:00")
    start = end - timedelta(days=days)
    window = Window("local", start, end, (Mark(start, "full"), Mark(end, "incr")))
    rows = picture(window, end + timedelta(days=days / 9), width)[2:]
    assert max(len(row) for row in rows) <= min(max(width, NARROWEST), WIDEST)


@pytest.mark.parametrize("days", [0.01, 0.3, 3, 40, 400, 6000], ids=lambda days: f"{days}-days")
def test_each_tick_has_its_label_below(days):
    end = at("2026-11-20T00:00:00")
    rows = picture(Window("local", end - timedelta(days=days), end, ()), end, 100)
    ticks, labels = rows[4], rows[5]
    starts = [n for n, sign in enumerate(labels) if sign != " " and (n == 0 or labels[n - 2 : n].strip() == "")]
    assert [n for n, sign in enumerate(ticks) if sign == "╵"] == starts
    assert starts


def test_a_window_that_ends_at_missing_wal_names_the_segment():
    marks = (Mark(at("2026-11-01T00:00:00"), "full"),)
    segment = "00000001000000000000002A"
    window = Window("local", at("2026-11-01T00:00:00"), at("2026-11-10T00:00:00"), marks, missing=segment)
    rows = picture(window, at("2026-11-20T00:00:00"), 60)
    assert "┫××××" in rows[3]
    assert any(f"× from WAL segment {segment} on, which is missing" in row for row in rows)
    assert not any("not archived" in row for row in rows)


def test_each_window_of_a_parted_storage_has_its_own_backups():
    sets = produced.chain("FI")
    gap = Gap(missing=f"{2**64 + 5:024X}", segments=1, next=f"{2**64 + 6:024X}", until="2026-11-23T10:09:00Z")
    found = show.windows(produced.repository([sets[0], replace(sets[1], number=20)], gaps=[gap]))
    assert [(len(one.marks), one.marks[0].kind, one.missing) for one in found] == [
        (1, "incr", ""),
        (1, "full", gap.missing),
    ]
