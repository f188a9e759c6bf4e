"""Options that need others, held against pgBackRest's own table: what it refuses, or passes over, is told before.

data/options-2.60.json is of its build/config.yaml; that [031] and [032] are what comes of it was tried with 2.60.0.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.pgbackrest import option_needs
from pgwarden.pgbackrest.option_needs import NEEDS, ours, problems, without_needless
from pgwarden.pgbackrest.option_table import ALLOWED, REFUSED, in_seconds
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.rules import validate
from tests.unit.rules.conftest import NOW, STATUS, Cluster, build

TABLE = json.loads((Path(__file__).parent / "data" / "options-2.60.json").read_text("utf-8"))
OPTIONS: dict[str, Any] = TABLE["options"]
BOTH = ours({1: {"type": "posix"}, 2: {"type": "s3", "s3-key-type": "shared"}})
#: What an option's need is of that no user can set: it is as it should be.
NEVER_OFF = {"online"}
POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_need_of_pgbackrest_is_known(name: str):
    need = OPTIONS[name].get("need")
    if need is None or need["option"] in NEVER_OFF:
        assert name not in NEEDS
        return
    known = NEEDS[name]
    assert known.option == need["option"]
    # Storages that pgwarden has not, and a type of restore that it does not offer.
    assert set(need["values"]) - {"azure", "gcs"} == set(known.values)


@pytest.mark.parametrize("name", OPTIONS)
def test_forms_and_bounds_are_those_of_pgbackrest(name: str):
    option, told = ALLOWED[name], OPTIONS[name]
    assert option.type == told["type"]
    if "range" in told:
        read = {"time": in_seconds, "size": _bytes}.get(option.type, float)
        assert [read(bound) for bound in told["range"]] == [option.low, option.high]
    if option.type == "enum" and name != "type":
        assert set(option.values) <= set(told["values"])
    if name == "compress-level":
        ranges = {kind: tuple(map(int, bounds)) for kind, bounds in told["ranges"].items()}
        assert ranges == dict(option_needs.LEVELS)


def _bytes(text: str) -> float:
    found = re.fullmatch(r"([0-9]+)([KMGTP]?)(?:iB|B)?", text)
    assert found
    return float(int(found[1]) * 1024 ** POWERS[found[2]])


def test_what_is_said_to_be_unknown_to_pgbackrest_is_unknown_to_it():
    unknown = [pattern for pattern, reason in REFUSED if "unknown to pgBackRest" in reason]
    known_after_all = {"repo-s3-sse-customer-key"}  # an earlier row has it
    for pattern in unknown:
        assert [name for name in TABLE["names"] if pattern.matches(name)] in ([], list(known_after_all))


EXAMPLES = {
    "archive-copy": ("--archive-copy", "--no-archive-check"),
    "archive-mode-check": ("--archive-mode-check", "--no-archive-check"),
    "compress-level": ("--compress-level=3", "--compress-type=none"),
    "repo-block": ("--repo1-block", "--no-repo1-bundle"),
    "repo-bundle-limit": ("--repo1-bundle-limit=2MiB", "--no-repo1-bundle"),
    "repo-bundle-size": ("--repo1-bundle-size=20MiB", "--no-repo1-bundle"),
    "repo-s3-kms-key-id": ("--repo1-s3-kms-key-id=x", ""),
    "repo-s3-requester-pays": ("--repo1-s3-requester-pays", ""),
    "repo-s3-role": ("--repo2-s3-role=x", ""),
    "repo-s3-service": ("--repo1-s3-service=s3", ""),
    "repo-s3-sts-host": ("--repo2-s3-sts-host=sts.example", ""),
    "repo-storage-prefetch": ("--repo1-storage-prefetch=1", ""),
    "repo-storage-read-over": ("--repo1-storage-read-over=64KiB", ""),
    "repo-storage-tag": ("--repo1-storage-tag=a=b", ""),
    "repo-storage-upload-chunk-size": ("--repo1-storage-upload-chunk-size=16MiB", ""),
    "tcp-keep-alive-count": ("--tcp-keep-alive-count=3", "--no-sck-keep-alive"),
    "tcp-keep-alive-idle": ("--tcp-keep-alive-idle=3", "--no-sck-keep-alive"),
    "tcp-keep-alive-interval": ("--tcp-keep-alive-interval=3", "--no-sck-keep-alive"),
}
S3 = {"bucket": "b", "endpoint": "s3.example", "region": "r", "credentialsSecretRef": {"name": "s3"}}


def repository(*options: str, name: str = "hippo", **s3: Any) -> Any:
    given = {key: value for key, value in (S3 | s3).items() if value is not None}
    return build("Repository", name, storageType="local,s3", s3=given, status=STATUS, options=[o for o in options if o])


def faults(obj: Any, *present: Any) -> list[Any]:
    return validate(obj, old=None, lookup=Cluster(*present), now=NOW, defaults=OperatorDefaults()).faults


def test_every_need_has_an_example():
    assert {*EXAMPLES, "target-exclusive"} == set(NEEDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_option_whose_need_is_not_met_is_refused_at_the_repository(name: str):
    option, against = EXAMPLES[name]
    (fault,) = faults(repository(against, option))
    assert (fault.field, fault.value, fault.rule) == ("spec.options", option, "options")
    assert fault.message.endswith("; remove it")
    assert fault.waits is None


@pytest.mark.parametrize("name", [name for name in EXAMPLES if "backup" in ALLOWED[name].commands])
def test_a_backups_option_is_held_against_its_own_list_and_against_the_repositorys(name: str):
    option, against = EXAMPLES[name]
    allows, holds = repository(), repository(against)
    for one in (allows, holds):
        one["spec"]["allowDisabledChecks"] = True  # else the needed check could not be switched off at all
    (own,) = faults(build("Backup", repository="hippo", options=[against, option]), allows)
    (world,) = faults(build("Backup", repository="hippo", options=[option]), holds)
    assert own.message == world.message
    assert (own.waits, world.waits) == (None, "OptionsContradict")
    assert faults(build("Backup", repository="hippo", options=[option]), repository()) == []


GOOD = [
    ("--no-repo1-bundle",),
    ("--repo1-bundle-size=20MiB",),
    ("--compress-type=none",),
    ("--compress-level=22",),
    ("--no-sck-keep-alive",),
    (
        "--repo2-s3-kms-key-id=x",
        "--repo2-s3-requester-pays",
        "--repo2-storage-tag=team=data",
        "--repo2-storage-tag=a=b",
    ),
    ("--db-timeout=10m", "--protocol-timeout=11m"),
    ("--protocol-timeout=2m",),
]


@pytest.mark.parametrize("options", GOOD, ids=" ".join)
def test_what_fits_together_is_taken(options: tuple[str, ...]):
    assert faults(repository(*options)) == []


def test_a_role_and_a_host_for_tokens_go_with_their_kind_of_key():
    keys: Any = {"credentialsSecretRef": None}
    assert faults(repository("--repo2-s3-role=x", keyType="auto", **keys)) == []
    assert faults(repository("--repo2-s3-sts-host=sts.example", keyType="web-id", **keys)) == []


@pytest.mark.parametrize(
    ("below", "own", "message"),
    [
        ("", "--compress-type=gz --compress-level=12", "must be from -1 to 9 with gz"),
        ("--compress-type=gz", "--compress-level=22", "must be from -1 to 9 with gz"),
        ("--compress-level=20", "--compress-type=lz4", "must be from -5 to 12 with lz4"),
        ("", "--db-timeout=1h --protocol-timeout=30m", "must be longer than --db-timeout=1h"),
        ("--db-timeout=1h", "--protocol-timeout=3600", "must be longer than --db-timeout=1h"),
    ],
)
def test_levels_and_times_are_held_against_those_in_force(below: str, own: str, message: str):
    given = parse_options([own], command="backup")[0].settings
    under = parse_options([below] if below else [], command="repository")[0].settings
    assert [problem for _, problem in problems(given, BOTH | under)] == [message]


@pytest.mark.parametrize(
    ("target", "taken"),
    [({"lsn": "0/4000000"}, True), ({"xid": "777"}, True), ({"immediate": True}, False), (None, False)],
)
def test_an_exclusive_target_is_a_position_a_transaction_or_a_time(target: Any, taken: bool):
    spec = {"target": target} if target else {}
    found = faults(build("Restore", repository="hippo", options=["--target-exclusive"], **spec), repository())
    assert [fault.message for fault in found if fault.field == "spec.options"] == (
        [] if taken else ["needs a spec.target of lsn, time or xid; remove it"]
    )


def test_what_is_ours_goes_where_the_users_options_make_it_useless():
    """pgBackRest passes over repo1-block=y without bundles; a file says what is so."""
    settings = BOTH | {"repo1-bundle": "n", "sck-keep-alive": "n", "tcp-keep-alive-idle": "30"}
    kept = without_needless(settings, {"repo1-bundle": "n", "sck-keep-alive": "n"})
    assert {"repo1-block", "tcp-keep-alive-idle"} == settings.keys() - kept.keys()
    assert kept["repo2-block"] == "y"
    assert without_needless(BOTH, {}) == BOTH
