"""`kubectl pgwarden status` of a Repository whose pods are of two releases."""

from __future__ import annotations

from pgwarden.cli.protection_versions import notes, wrong


def repository(status: str = "", reason: str = "") -> dict:
    told = {"type": "SameVersion", "status": status, "reason": reason, "message": "of SameVersion"}
    return {"metadata": {"name": "hippo"}, "status": {"conditions": [told] if status else []}}


def test_pods_that_are_owed_a_restart_are_a_note_as_archiving_goes_on():
    owed = repository("False", "PodsOwedRestart")
    assert (wrong(owed), notes(owed)) == ([], ["of SameVersion"])


def test_a_host_that_refuses_its_primary_is_wrong():
    differ = repository("False", "VersionsDiffer")
    assert (wrong(differ), notes(differ)) == (["of SameVersion"], [])


def test_one_version_an_unknown_one_and_a_controller_of_before_say_nothing():
    for one in (repository("True", "VersionsMatch"), repository("Unknown", "VersionsUnknown"), repository()):
        assert (wrong(one), notes(one)) == ([], [])
