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
    ("--pg1-host-cmd=/bin/sh", "backup", "runs a program of the user's choice; pgwarden does not allow it"),
    ("--repo1-host-cmd=x", "repository", "runs a program of the user's choice; pgwarden does not allow it"),
    ("--cmd=x", "backup", "runs a program of the user's choice; pgwarden does not allow it"),
    ("--repo1-s3-process-cmd=x", "repository", "runs a program of the user's choice; pgwarden does not allow it"),
    ("--repo1-host=evil", "backup", "is set by pgwarden: hosts, ports and certificates follow the Repository and its pods"),
    ("--pg1-path=/", "restore", "is set by pgwarden; use spec.postgres of the Repository"),
    ("--reset-pg1-host", "restore", "is set by pgwarden: hosts, ports and certificates follow the Repository and its pods"),
    ("--stanza=x", "backup", "is set by pgwarden: the stanza is the Repository's name"),
    ("--config=/x", "backup", "is set by pgwarden: files and folders are the same in every container"),
    ("--config-include-path=/x", "backup", "is set by pgwarden: files and folders are the same in every container"),
    ("--lock-path=/x", "backup", "is set by pgwarden: files and folders are the same in every container"),
    ("--log-path=/x", "backup", "is set by pgwarden: files and folders are the same in every container"),
    ("--log-level-file=info", "repository", "would write to files or mix streams; use --log-level-console, the log is the container's"),
    ("--repo2-s3-endpoint=x", "repository", "use spec.s3 of the Repository"),
    ("--repo2-storage-verify-tls=n", "repository", "use spec.s3 of the Repository"),
    ("--repo2-s3-key-type=auto", "repository", "use spec.s3.keyType of the Repository"),
    ("--repo1-cipher-type=none", "repository", "use spec.encryption of the Repository"),
    ("--repo1-path=/x", "repository", "use spec.s3.path of the Repository; a local storage has its volume for itself"),
    ("--repo=2", "backup", "use spec.storage (local or s3)"),
    ("--type=time", "restore", "use spec.target; pgwarden promotes PostgreSQL when the target is reached"),
    ("--target=x", "restore", "use spec.target; pgwarden promotes PostgreSQL when the target is reached"),
    ("--set=20261101-000000F", "restore", "use spec.set"),
    ("--target-timeline=2", "restore", "use spec.targetTimeline"),
    ("--tablespace-map=a=/etc", "restore", "would write outside of the volume; tablespaces and links are restored to where they were"),
    ("--tablespace-map-all=/etc", "restore", "would write outside of the volume; tablespaces and links are restored to where they were"),
    ("--link-map=a=/etc", "restore", "would write outside of the volume; tablespaces and links are restored to where they were"),
    ("--recovery-option=restore_command=x", "restore", "could make PostgreSQL run a program; use spec.target and spec.targetTimeline"),
    ("--no-online", "backup", "switches off a check that keeps the data safe"),
    ("--force", "restore", "switches off a check that keeps the data safe"),
    ("--repo1-retention-full=7", "restore", "belongs into spec.retention of the Repository or into spec.options of a Backup"),
    ("--db-include=x", "backup", "is not an option of a backup, only of a restore"),
    ("--proces-max=4", "backup", "is not an option that can be set here; did you mean --process-max?"),
    ("--process-max=0", "backup", "must be a whole number from 1 to 999"),
    ("--process-max=1e3", "backup", "must be a whole number from 1 to 999"),
    ("--process-max", "backup", "needs a value: a whole number from 1 to 999"),
    ("--process-max=", "backup", "needs a value: a whole number from 1 to 999"),
    ("--type=fulll", "backup", "must be one of full, diff, incr"),
    ("--repo1-retention-full=0", "backup", "must be a whole number from 1 to 9999999"),
    ("--repo1-bundle-size=1KiB", "backup", "must be a size from 1MiB to 1PiB, such as 20MiB"),
    ("--db-timeout=2w", "backup", "must be a time from 0.1 to 604800 seconds, such as 60"),
    ("--start-fast=maybe", "backup", "is a switch: write --start-fast or --no-start-fast"),
    ("--no-process-max", "backup", "cannot be negated or reset: it takes a whole number from 1 to 999"),
    ("--reset-start-fast", "backup", "is a switch: write --start-fast or --no-start-fast"),
    ("--annotation=pgwarden-uid=x", "backup", "must be KEY=VALUE, the key not beginning with pgwarden"),
    ("--repo-retention-full=7", "backup", "does not say of which storage: write --repo1-retention-full for the first one"),
    ("--repo3-retention-full=7", "backup", "there is no storage 3; this Repository has repo1 (local), repo2 (s3)"),
    ("--repo01-retention-full=7", "backup", "there is no storage 01; this Repository has repo1 (local), repo2 (s3)"),
    ("-type=full", "backup", "an option begins with two dashes; did you mean --type=full?"),
    ("type=full", "backup", "an option begins with two dashes: --type=full"),
    ("stanza-delete", "backup", "belongs to no option; pgBackRest's command and its parameters are not written here"),
    ("--", "backup", "an option begins with two dashes"),
    ("--compress-type=gz --compress-level=12", "backup", "must be from -1 to 9 with gz"),
    ("--type=full --type=incr", "backup", "contradicts --type=full, given before"),
    ("--start-fast --no-start-fast", "backup", "contradicts --start-fast, given before"),
    ("--process-max=2 --process-max=2", "backup", "was given before"),
    ("--annotation='open", "backup", "has a quotation mark that is not closed (No closing quotation)"),
    ("--annotation=a=b\n[global]", "backup", "must be one line without control characters"),
    ("  ", "backup", "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "command", "message"), REFUSED, ids=[f"{row[1]}: {row[0]}" for row in REFUSED])
def test_a_refused_option_says_what_to_do_instead(text, command, message):
    assert refusals([text], command) == [message]


def test_an_unknown_option_without_a_neighbour_lists_those_that_can_be_set():
    (message,) = refusals(["--zzz=1"], "restore")
    assert message.startswith("is not an option that can be set here; these can: --archive-mode, --buffer-size")


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
