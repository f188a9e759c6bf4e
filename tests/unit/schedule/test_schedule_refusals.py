"""An expression outside of the seed's table is refused, with each bad field, its value and what is allowed."""

from __future__ import annotations

import pytest

from pgwarden.schedule import cron

REFUSED = [
    ("0 1 * * 7", [("7", "day of week: Sunday is 0 or SUN, not 7; allowed: 0-6 or SUN-SAT and * / , - ?")]),
    ("*/61 * * * *", [("*/61", "minutes: a step must be a number from 1 to 59; allowed: 0-59 and * / , -")]),
    ("*/0 * * * *", [("*/0", "minutes: a step must be a number from 1 to 59; allowed: 0-59 and * / , -")]),
    ("0 5-1 * * *", [("5-1", "hours: a range must go up; write 5-23,0-1 or 1-5")]),
    ("0 1 * * FRI-MON", [("FRI-MON", "day of week: a range must go up; write 5-6,0-1 or 1-5")]),
    (
        "0 1 L * *",
        [("L", "day of month: L (the last, in other crons) is not supported; allowed: 1-31 and * / , - ?")],
    ),
    (
        "0 1 * * 5L",
        [
            (
                "5L",
                "day of week: 5L (the last, in other crons) is not supported; allowed: 0-6 or SUN-SAT and * / , - ?",
            )
        ],
    ),
    (
        "0 1 15W * *",
        [
            (
                "15W",
                "day of month: 15W (the nearest weekday, in other crons) is not supported; allowed: 1-31 and * / , - ?",
            )
        ],
    ),
    (
        "0 1 * * MON#2",
        [
            (
                "MON#2",
                "day of week: MON#2 (the n-th such weekday, in other crons) is not supported; allowed: 0-6 or SUN-SAT and * / , - ?",
            )
        ],
    ),
    ("? 1 * * *", [("?", "minutes: ? is only for the two day fields; allowed: 0-59 and * / , -")]),
    ("0 1 ?/2 * *", [("?/2", "day of month: ? must stand alone in its field; it means *")]),
    ("0 1 1,? * *", [("?", "day of month: ? must stand alone in its field; it means *")]),
    ("5/15 * * * *", [("5/15", "minutes: a step needs a range or *: write 5-59/15 or */15")]),
    ("0 1 0 * *", [("0", "day of month: 0 is out of range; allowed: 1-31 and * / , - ?")]),
    ("0 1 * 13 *", [("13", "month: 13 is out of range; allowed: 1-12 or JAN-DEC and * / , -")]),
    ("0 1 * MAI *", [("MAI", "month: MAI is not one of JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV, DEC")]),
    ("0 1, * * *", [("1,", "hours: a value is missing next to a comma; allowed: 0-23 and * / , -")]),
    ("0 -5 * * *", [("-5", "hours: a number is missing; allowed: 0-23 and * / , -")]),
    ("0 ١ * * *", [("١", "hours: ١ is not valid; allowed: 0-23 and * / , -")]),
    ("0 1.5 * * *", [("1.5", "hours: 1.5 is not valid; allowed: 0-23 and * / , -")]),
    ("60 0 1 * * *", [("60", "seconds: 60 is out of range; allowed: 0-59 and * / , -")]),
    (
        "61 25 32 13 8",
        [
            ("61", "minutes: 61 is out of range; allowed: 0-59 and * / , -"),
            ("25", "hours: 25 is out of range; allowed: 0-23 and * / , -"),
            ("32", "day of month: 32 is out of range; allowed: 1-31 and * / , - ?"),
            ("13", "month: 13 is out of range; allowed: 1-12 or JAN-DEC and * / , -"),
            ("8", "day of week: 8 is out of range; allowed: 0-6 or SUN-SAT and * / , - ?"),
        ],
    ),
    ("0 1 31 2 *", [("0 1 31 2 *", "never fires: none of its months has a 31st")]),
    ("0 1 30-31 FEB ?", [("0 1 30-31 FEB ?", "never fires: none of its months has a 30th")]),
    ("0 1 31 4,6,9,11 *", [("0 1 31 4,6,9,11 *", "never fires: none of its months has a 31st")]),
    ("@daily", [("@daily", 'macros such as @daily are not supported; write "0 0 * * *"')]),
    ("@every 5m", [("@every 5m", "macros such as @daily are not supported; write five or six fields")]),
    (
        "CRON_TZ=UTC 0 1 * * *",
        [("CRON_TZ=UTC 0 1 * * *", "must not contain the time zone; set spec.timeZone")],
    ),
]
FIELDS = "write five (minutes 0-59, hours 0-23, day of month 1-31, month 1-12, day of week 0-6) or six (seconds first)"


@pytest.mark.parametrize(("expression", "faults"), REFUSED, ids=[row[0] for row in REFUSED])
def test_each_bad_field_is_named_with_its_value_and_what_is_allowed(expression, faults):
    parsed = cron.parse(expression)
    if expression == "0 1, * * *":  # the empty part has no text of its own: the whole field is shown
        assert [fault.message for fault in parsed] == [faults[0][1]]
        return
    assert [(fault.value, fault.message) for fault in parsed] == faults
    assert {fault.field for fault in parsed} == {"spec.schedule"}


@pytest.mark.parametrize(
    ("expression", "count"),
    [("", "0 fields"), ("0", "1 field"), ("0 1 * *", "4 fields"), ("0 0 1 * * * 2026", "7 fields")],
    ids=["empty", "one", "four", "seven"],
)
def test_a_wrong_number_of_fields_says_how_many_and_which_are_wanted(expression, count):
    (fault,) = cron.parse(expression)
    assert fault.message == f"has {count}; {FIELDS}"


@pytest.mark.parametrize("value", [None, 5, ["0 1 * * *"], {"a": 1}, True], ids=repr)
def test_what_is_no_string_is_refused_and_not_a_crash(value):
    (fault,) = cron.parse(value)
    assert fault.message == 'must be a cron expression in quotes, such as "0 1 * * *"'


def test_a_very_long_expression_is_refused_without_being_read():
    (fault,) = cron.parse("1," * 100_000 + "1 * * * *")
    assert fault.message == "has more than 256 characters"
    assert len(fault.value) == 256
