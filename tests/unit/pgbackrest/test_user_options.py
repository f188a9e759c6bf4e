"""Users' pgBackRest options: an allow-list, types, and a way out of each refusal."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.pgbackrest import user_options
from pgwarden.pgbackrest.user_options import parse_options

BOTH = ("local", "s3")


def refusals(options, command="backup", storages=BOTH):
    return [fault.message for fault in parse_options(options, command=command, storages=storages)[1]]


ACCEPTED = [
    ("the seed's own string", ["--type=full --repo1-retention-full=7"], "full", ("--repo1-retention-full=7",)),
    ("a value after a space", ["--type full --process-max 4"], "full", ("--process-max=4",)),
    ("a switch on and one off", ["--start-fast", "--no-resume"], "", ("--start-fast", "--no-resume")),
    ("a switch with y and n", ["--start-fast=y --resume=n"], "", ("--start-fast", "--no-resume")),
    ("a switch before another option", ["--start-fast --process-max=2"], "", ("--start-fast", "--process-max=2")),
    ("quoted", ["--annotation='note=for the audit'"], "", ("--annotation=note=for the audit",)),
    ("an annotation twice", ["--annotation=a=1 --annotation=b=2"], "", ("--annotation=a=1", "--annotation=b=2")),
    ("the second storage", ["--repo2-retention-diff=3"], "", ("--repo2-retention-diff=3",)),
    ("a negative number", ["--compress-level=-3"], "", ("--compress-level=-3",)),
    ("times", ["--db-timeout=1h", "--archive-timeout=90"], "", ("--db-timeout=1h", "--archive-timeout=90")),
    ("nothing", [], "", ()),
    ("absent", None, "", ()),
]


@pytest.mark.parametrize(
    ("options", "kind", "arguments"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_an_allowed_option_comes_out_in_one_spelling(options, kind, arguments):
    parsed, faults = parse_options(options, command="backup", storages=BOTH)
    assert faults == []
    assert (parsed.type, parsed.arguments) == (kind, arguments)


def test_retention_is_told_apart_and_still_an_argument():
    parsed, _ = parse_options(["--repo1-retention-full=7 --repo2-retention-full-type=time"], command="backup")
    assert parsed.retention == {"repo1-retention-full": 7}
    assert parsed.settings == {"repo1-retention-full": "7", "repo2-retention-full-type": "time"}


REFUSED = [
    ("--pg1-host-cmd=/bin/sh", "backup", "is not allowed: it runs an arbitrary program; remove it"),
    ("--repo1-host-cmd=x", "repository", "is not allowed: it runs an arbitrary program; remove it"),
    ("--cmd=x", "backup", "is not allowed: it runs an arbitrary program; remove it"),
    ("--repo1-s3-process-cmd=x", "repository", "is not allowed: it runs an arbitrary program; remove it"),
    ("--repo1-host=evil", "backup", "is set by pgwarden from the Repository and its pods; remove it"),
    ("--pg1-path=/", "restore", "is set by pgwarden; use spec.postgres of the Repository"),
    ("--reset-pg1-host", "restore", "is set by pgwarden from the Repository and its pods; remove it"),
    ("--stanza=x", "backup", "is set by pgwarden: the stanza has the Repository's name; remove it"),
    ("--config=/x", "backup", "is set by pgwarden: paths are the same in every container; remove it"),
    ("--config-include-path=/x", "backup", "is set by pgwarden: paths are the same in every container; remove it"),
    ("--lock-path=/x", "backup", "is set by pgwarden: paths are the same in every container; remove it"),
    ("--log-path=/x", "backup", "is set by pgwarden: paths are the same in every container; remove it"),
    ("--log-level-file=info", "repository", "is not allowed: logs go to the container's output; use --log-level-console"),
    ("--repo2-s3-endpoint=x", "repository", "cannot be set here; use spec.s3 of the Repository"),
    ("--repo2-storage-verify-tls=n", "repository", "cannot be set here; use spec.s3 of the Repository"),
    ("--repo2-s3-key-type=auto", "repository", "cannot be set here; use spec.s3.keyType of the Repository"),
    ("--repo1-cipher-type=none", "repository", "cannot be set here; use spec.encryption of the Repository"),
    ("--repo1-path=/x", "repository", "cannot be set here; use spec.s3.path of the Repository"),
    ("--repo=2", "backup", "cannot be set here; use spec.storage (local or s3)"),
    ("--type=time", "restore", "cannot be set here; use spec.target (pgwarden promotes PostgreSQL at the target)"),
    ("--target=x", "restore", "cannot be set here; use spec.target (pgwarden promotes PostgreSQL at the target)"),
    ("--set=20261101-000000F", "restore", "cannot be set here; use spec.set"),
    ("--target-timeline=2", "restore", "cannot be set here; use spec.targetTimeline"),
    ("--tablespace-map=a=/etc", "restore", "is not allowed: it writes outside the volume; tablespaces and links are restored in place"),
    ("--tablespace-map-all=/etc", "restore", "is not allowed: it writes outside the volume; tablespaces and links are restored in place"),
    ("--link-map=a=/etc", "restore", "is not allowed: it writes outside the volume; tablespaces and links are restored in place"),
    ("--recovery-option=restore_command=x", "restore", "is not allowed: it can run a program; use spec.target and spec.targetTimeline"),
    ("--no-online", "backup", "is not allowed: it disables a safety check; remove it"),
    ("--force", "restore", "is not allowed: it disables a safety check; remove it"),
    ("--repo1-retention-full=7", "restore", "belongs in the Repository's spec.retention or a Backup's spec.options"),
    ("--db-include=x", "backup", "is not an option of a backup, only of a restore"),
    ("--proces-max=4", "backup", "is not an allowed option; did you mean --process-max?"),
    ("--process-max=0", "backup", "must be a whole number from 1 to 999"),
    ("--process-max=1e3", "backup", "must be a whole number from 1 to 999"),
    ("--process-max", "backup", "needs a value: a whole number from 1 to 999"),
    ("--process-max=", "backup", "needs a value: a whole number from 1 to 999"),
    ("--type=fulll", "backup", "must be one of full, diff, incr"),
    ("--repo1-retention-full=0", "backup", "must be a whole number from 1 to 9999999"),
    ("--repo1-bundle-size=1KiB", "backup", "must be a size from 1MiB to 1PiB, such as 20MiB"),
    ("--db-timeout=2w", "backup", "must be a time from 100ms to 7d, such as 60, 90s or 5m"),
    ("--db-timeout=1.5", "backup", "must be a time from 100ms to 7d, such as 60, 90s or 5m"),
    ("--io-timeout=0.1", "backup", "must be a time from 100ms to 1h, such as 60, 90s or 5m"),
    ("--repo2-s3-storage-class=STANDARD_IA", "repository", "is unknown to pgBackRest 2.60: objects get the bucket's default class; set a lifecycle rule on the bucket"),
    ("--repo2-s3-sse=AES256", "repository", "is unknown to pgBackRest 2.60; set it on the bucket (for KMS use --repoN-s3-kms-key-id)"),
    ("--repo2-s3-sse-customer-key=x", "repository", "is a secret; put it into the Secret in spec.s3.credentialsSecretRef, under its name without repoN-"),
    ("--repo2-storage-tag=a=b", "backup", "belongs in the Repository's spec.options"),
    ("--repo2-storage-tag=a", "repository", "must be KEY=VALUE, a tag for each object"),
    ("--start-fast=maybe", "backup", "is a flag; write --start-fast or --no-start-fast"),
    ("--no-process-max", "backup", "cannot be negated or reset; set it to a whole number from 1 to 999"),
    ("--reset-start-fast", "backup", "is a flag; write --start-fast or --no-start-fast"),
    ("--annotation=pgwarden-uid=x", "backup", "must be KEY=VALUE, the key not beginning with pgwarden"),
    ("--repo-retention-full=7", "backup", "names no storage; write --repo1-retention-full for the first one"),
    ("--repo3-retention-full=7", "backup", "there is no storage 3; this Repository has only repo1 (local), repo2 (s3)"),
    ("--repo01-retention-full=7", "backup", "there is no storage 01; this Repository has only repo1 (local), repo2 (s3)"),
    ("-type=full", "backup", "must begin with two dashes; did you mean --type=full?"),
    ("type=full", "backup", "must begin with two dashes; write --type=full"),
    ("stanza-delete", "backup", "is not an option; write options only, such as --process-max=4"),
    ("--", "backup", "must begin with two dashes"),
    ("--type=full --type=incr", "backup", "contradicts --type=full; remove one"),
    ("--start-fast --no-start-fast", "backup", "contradicts --start-fast; remove one"),
    ("--process-max=2 --process-max=2", "backup", "is repeated; remove it"),
    ("--annotation='open", "backup", "has an unclosed quotation mark or escape (No closing quotation)"),
    ("--annotation=a=b\n[global]", "backup", "must be a single line without control characters"),
    ("  ", "backup", "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "command", "message"), REFUSED, ids=[f"{row[1]}: {row[0]}" for row in REFUSED])
def test_a_refused_option_says_what_to_do_instead(text, command, message):
    assert refusals([text], command) == [message]


def test_an_unknown_option_without_a_neighbour_lists_those_that_can_be_set():
    (message,) = refusals(["--zzz=1"], "restore")
    assert message.startswith("is not an allowed option; allowed are --archive-mode, --buffer-size")


def test_every_fault_is_told_with_the_entry_it_is_in():
    _, faults = parse_options(["--type=x", "--start-fast", 7, "--cmd=x"], command="backup")
    assert [fault.field for fault in faults] == ["spec.options[0]", "spec.options[2]", "spec.options[3]"]


@pytest.mark.parametrize("option", ["--repo1-s3-key=hush", "--repo1-s3-key-secret hush", "--repo1-cipher-pass=hush"])
def test_a_secret_given_as_an_option_is_not_repeated_in_the_refusal(option):
    _, faults = parse_options([option], command="backup")
    assert faults
    assert "hush" not in "".join(map(str, faults))


@given(st.one_of(st.none(), st.text(), st.lists(st.one_of(st.text(), st.integers(), st.none()))))
def test_no_input_crashes_the_parser_and_what_it_lets_through_is_one_clean_argument(options):
    parsed, _ = parse_options(options, command="backup", storages=("local",))
    for argument in parsed.arguments:
        assert argument.startswith("--")
        assert argument.isprintable() or "=" in argument
        assert not set(argument) & set("\n\r\0")


@given(
    st.sampled_from(["backup", "restore", "repository"]),
    st.from_regex(r"--[a-z0-9-]{1,20}(=[a-z0-9/.]{0,9})?", fullmatch=True),
)
def test_nothing_that_runs_connects_or_points_elsewhere_gets_through(command, option):
    parsed, _ = parse_options([option], command=command)
    for name in parsed.settings:
        assert not name.endswith(("-cmd", "-path", "-file", "-host"))
        assert not name.startswith(("config", "stanza", "pg"))


WORDS = [
    "--type=full",
    "--start-fast",
    "--repo1-retention-full=7",
    "--repo2-retention-full=7",
    "--process-max 4",
    "--x=1",
]
ENTRIES = st.sampled_from([*WORDS, *map(" ".join, pairwise(WORDS)), 1, True, None])


@given(
    st.lists(st.lists(ENTRIES, max_size=3), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["backup", "restore", "repository"]),
            st.sampled_from([None, ("local",), ["s3"], ("local", "s3")]),
            st.sampled_from(["spec.options", "options"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_remembered_options_are_those_that_would_be_parsed(several, places):
    """Of the same list, in another place or for other storages; a fault is found anew each time."""
    for given_options in several:
        for command, storages, field in places:
            for _ in range(2):
                found = parse_options(given_options, command=command, storages=storages, field=field)
                assert found == user_options._parse(given_options, command, storages, field)


def test_only_so_many_options_are_remembered_and_no_long_ones():
    for number in range(300):
        parse_options([f"--annotation=a={number}"], command="backup")
    assert len(user_options._good) == user_options._REMEMBERED
    parse_options([f"--annotation=a={'x' * 400}"] * 3, command="backup")
    assert len(user_options._good) == user_options._REMEMBERED
    assert not any("x" * 400 in str(question) for question in user_options._good)
