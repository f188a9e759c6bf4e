"""The tables of `make matrix`: each section is written anew, and the others stay."""

from __future__ import annotations

from harness import matrix_report
from harness.matrix import Case, Run


def test_a_section_is_replaced_and_the_others_stay():
    text = matrix_report.replaced("# Title\n", "versions", "one\n")
    text = matrix_report.replaced(text, "shapes", "two\n")
    text = matrix_report.replaced(text, "versions", "three\n")
    assert text == "# Title\n\n## versions\n\nthree\n\n## shapes\n\ntwo\n"


def test_what_failed_and_what_has_other_rows_is_told_as_such():
    same, other, failed = (Run(Case(name, "image"), before="1") for name in ("same", "other", "failed"))
    same.after, other.after, failed.error = "1", "2", "no"
    ends = [line.split(" | ")[-1].rstrip(" |") for line in matrix_report.table([same, other, failed]).splitlines()[2:]]
    assert ends == ["the same", "OTHER ROWS", "failed"]
