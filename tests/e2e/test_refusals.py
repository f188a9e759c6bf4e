"""Bad input by `kubectl apply`: refused with field, value and reason, all faults at once, webhook or not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Any

import pytest

from harness.install import NAMESPACE, webhook_away
from harness.kubectl import Kubectl, condition, is_true
from harness.objects import backup, repository, restore, schedule

NO_S3 = repository("bad", retention={"full": 7}) | {"spec": {"storageType": "s3", "retention": {"full": 7}}}

CASES = {
    "unknown storage type": (
        repository("bad", storageType="nfs"),
        'spec.storageType: "nfs": nfs is not a storage; write local, s3, or local,s3 for both',
    ),
    "a storage without what it needs": (
        NO_S3,
        "spec.s3.bucket: is required with storage s3; set it here or as the operator's default (s3.bucket)",
    ),
    "a size that is none": (
        repository("bad", local={"size": "10Gigs"}),
        'spec.local.size: "10Gigs": must be a quantity such as 10Gi or 500Mi',
    ),
    "a name that no Service may have": (
        repository("Bad"),
        'metadata.name: "Bad": must be lower-case letters, digits and dashes, beginning with a letter',
    ),
    "retention said twice": (
        repository("bad", retention={"full": 7}, options=["--repo1-retention-full=3"]),
        "spec.retention.full: 7: is also set in options as --repo1-retention-full; remove one of the two",
    ),
    "retention by time without a time": (
        repository("bad", retention={"fullType": "time"}),
        "spec.retention.full: is required with fullType time; set the number of days",
    ),
    "an option that is pgwarden's": (
        repository("bad", options=["--repo1-path=/tmp"]),
        'spec.options[0]: "--repo1-path=/tmp": cannot be set here; use spec.s3.path of the Repository',
    ),
    "unknown Repository": (
        backup("bad", repository="nobody"),
        'spec.repository: "nobody": there is no Repository nobody in namespace NS; available: hippo',
    ),
    "type: fulll": (backup("bad", type="fulll"), 'spec.type: "fulll": must be one of full, diff, incr'),
    "--type=fulll": (
        backup("bad", "--type=fulll"),
        'spec.options[0]: "--type=fulll": must be one of full, diff, incr',
    ),
    "a storage that the Repository has not": (
        backup("bad", storage="s3"),
        'spec.storage: "s3": Repository hippo has only storage local; omit spec.storage, or add s3 to its storageType',
    ),
    "a misspelt option": (
        backup("bad", "--proces-max=4"),
        'spec.options[0]: "--proces-max=4": is not an allowed option; did you mean --process-max?',
    ),
    "a retention of a second storage": (
        backup("bad", "--type=full", "--repo2-retention-full=7"),
        'spec.options[1]: "--repo2-retention-full=7": there is no storage 2; this Repository has only repo1 (local)',
    ),
    "a retention that the next backup would undo": (
        backup("bad", "--type=full", "--repo1-retention-full=30"),
        'spec.options: "--repo1-retention-full=30": is more than the 7 full backups that Repository hippo keeps: ',
    ),
    "a retention that would expire what the Repository keeps": (
        backup("bad", "--type=full", "--repo1-retention-full=1"),
        'spec.options: "--repo1-retention-full=1": each backup with it leaves 1 full backup in the storage, fewer than the 7',
    ),
    "a check of the Repository switched off": (
        backup("bad", "--type=full", "--no-archive-check"),
        'spec.options: "--no-archive-check": switches off a check that Repository hippo makes of every backup; remove it',
    ),
    "a shell in the options": (
        backup("bad", "--type=full; rm -rf /"),
        'spec.options[0]: "--type=full;": must be one of full, diff, incr',
    ),
    "words for a number": (
        backup("bad", activeDeadlineSeconds="soon"),
        'spec.activeDeadlineSeconds: "soon": must be a whole number, not a string',
    ),
    "a target in the future": (
        restore("bad", {"time": "2999-01-01T00:00:00Z"}),
        'spec.target.time: "2999-01-01T00:00:00Z": is in the future (now: ',
    ),
    "a target without a zone": (
        restore("bad", {"time": "2026-11-23 10:00:00"}),
        'spec.target.time: "2026-11-23 10:00:00": has no time zone; write 2026-11-23 10:00:00Z for UTC, or an offset',
    ),
    "two targets": (
        restore("bad", {"time": "2026-11-23T10:00:00Z", "xid": "77"}),
        "spec.target: sets time and xid; set exactly one of time, lsn, xid, name, immediate, or omit target",
    ),
    "a place that is no LSN": (
        restore("bad", {"lsn": "somewhere"}),
        'spec.target.lsn: "somewhere": must be a WAL position such as 0/3000060',
    ),
    "a restore over the backups": (
        restore("bad", volumeClaim="hippo-pgbackrest-repo"),
        'spec.volumeClaim: "hippo-pgbackrest-repo": is the claim that holds the backups; name a new claim',
    ),
    "a schedule with four fields": (
        schedule("bad", "0 1 * *"),
        'spec.schedule: "0 1 * *": has 4 fields; write five (minutes 0-59, hours 0-23, day of month 1-31,',
    ),
    "a schedule by a nickname": (
        schedule("bad", "@daily"),
        'spec.schedule: "@daily": macros such as @daily are not supported; write "0 0 * * *"',
    ),
    "a schedule that never fires": (
        schedule("bad", "0 0 30 2 *"),
        'spec.schedule: "0 0 30 2 *": never fires: none of its months has a 30th',
    ),
    "a time zone that is none": (
        schedule("bad", "0 1 * * *", timeZone="Europe/Zuerich"),
        'spec.timeZone: "Europe/Zuerich": is not an IANA time zone such as UTC or Europe/Zurich; did you mean',
    ),
}

SIX_WRONG = schedule("bad", "61 60 24 32 13 7")
SIX_SENTENCES = (
    '"61": seconds: 61 is out of range; allowed: 0-59',
    '"60": minutes: 60 is out of range; allowed: 0-59',
    '"24": hours: 24 is out of range; allowed: 0-23',
    '"32": day of month: 32 is out of range; allowed: 1-31',
    '"13": month: 13 is out of range; allowed: 1-12 or JAN-DEC',
    '"7": day of week: Sunday is 0 or SUN, not 7; allowed: 0-6 or SUN-SAT',
)

#: What the CRDs' schema lets in, so that it comes to the controller when nobody stands at the door.
LET_IN = {
    "an unknown Repository and a wrong option": backup("late-1", "--proces-max=4", repository="nobody"),
    "three wrong options": backup("late-2", "--pg1-path=/etc", "--proces-max=4", "--repo2-retention-full=7"),
    "six wrong fields": schedule("late-3", "61 60 24 32 13 7"),
    "no such transaction": restore("late-4", {"xid": "2"}),
    "an option that is pgwarden's": repository("late-5", options=["--repo1-path=/tmp"]),
}


#: Nothing is wrong with this one but that it comes before its Repository.
EARLY = backup("early", repository="nobody")


@pytest.fixture(scope="module")
def hippo(space: Kubectl) -> None:
    space.apply(repository(retention={"full": 7}))


@pytest.mark.parametrize("case", list(CASES))
def test_a_fault_is_refused_with_its_field_value_and_reason(hippo, space: Kubectl, case: str):
    document, sentence = CASES[case]
    said = space.refused(document)
    assert any(one.startswith(sentence.replace("NS", space.namespace)) for one in faults(said)), said
    assert "Warning:" not in said
    assert space.get(document["kind"], document["metadata"]["name"].lower()) is None


def test_a_schedule_with_six_wrong_fields_is_told_all_six(hippo, space: Kubectl):
    said = space.refused(SIX_WRONG)
    assert len(faults(said)) == 6
    for fault, sentence in zip(faults(said), SIX_SENTENCES, strict=True):
        assert fault.startswith(f"spec.schedule: {sentence}")


def test_a_manifest_with_five_faults_is_told_all_five(hippo, space: Kubectl):
    said = space.refused(
        backup("bad", "--pg1-path=/etc", "--proces-max=4", type="fulll", repository="nobody", storage="tape")
    )
    fields = ["spec.options[0]", "spec.options[1]", "spec.repository", "spec.storage", "spec.type"]
    assert sorted(fault.partition(": ")[0] for fault in faults(said)) == fields


#: What once held both webhooks up, or ended them: many words in one option, and one very long word in quotes.
HEAVY = {
    "300 kB of options in one string": backup("heavy", " ".join(["--a=1"] * 50_000)),
    "one quoted word of 1.5 MB": backup("heavy", f"--annotation='a={'x' * 1_500_000}'"),
}


@pytest.mark.parametrize("case", list(HEAVY))
def test_a_huge_object_is_refused_in_one_sentence_and_holds_nobody_up(hippo, space: Kubectl, case: str):
    """The API server waits 5 s for a webhook: whoever is admitted meanwhile has been answered within that."""
    before = webhooks(space)
    with ThreadPoolExecutor(max_workers=1) as pool:
        heavy = [pool.submit(dry_run, space, HEAVY[case]) for _ in range(3)]
        others = [dry_run(space, backup("light")) for _ in range(3)]
    for one in heavy:
        said = one.result().stderr
        assert "more than 256 KiB; shorten its" in said, said[:500]
        assert len(said) < 1000
        assert len(faults(said)) == 1
    assert [one.stderr for one in others if one.returncode] == []
    assert webhooks(space) == before


def dry_run(space: Kubectl, document: dict[str, Any]) -> CompletedProcess[str]:
    return space.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(document), check=False)


def webhooks(space: Kubectl) -> dict[str, int]:
    """How often each replica of the webhook was restarted."""
    pods = space.within(NAMESPACE).list("pods", "app.kubernetes.io/component=webhook")
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in staying}


@pytest.fixture(scope="module")
def refused(hippo, space: Kubectl) -> dict[str, list[str]]:
    """What the webhook says of them."""
    return {name: faults(space.refused(document)) for name, document in LET_IN.items()}


@pytest.fixture(scope="module")
def let_in(installed, refused: dict[str, list[str]], space: Kubectl) -> None:
    """The same objects, made while there was no webhook and no configuration of one."""
    with webhook_away(space):
        try:
            for kind in ("mutating", "validating"):
                space.run("delete", f"{kind}webhookconfiguration", "pgwarden")
            space.apply(*LET_IN.values(), EARLY)
        finally:
            installed.helm.install(installed.image)


@pytest.mark.parametrize("name", list(LET_IN))
def test_past_the_webhook_the_controller_rejects_by_the_same_words(let_in, refused, space: Kubectl, name: str):
    document = LET_IN[name]
    found = space.until(document["kind"], document["metadata"]["name"], is_true("Rejected"), "is rejected", 60)
    said, count = condition(found, "Rejected")["message"], len(refused[name])
    assert all(fault in said for fault in refused[name])
    assert said == refused[name][0] if count == 1 else said.startswith(f"{count} faults: ")
    assert condition(found, "Rejected")["reason"] == "InvalidSpec"
    assert found["status"]["phase"] == "Failed"


def test_past_the_webhook_what_comes_before_its_repository_waits_for_it(let_in, space: Kubectl):
    said = faults(space.refused(EARLY | {"metadata": {"name": "late"}}))
    found = space.until("pgb", "early", lambda o: o["status"].get("message") in said, "waits with those words", 90)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Pending", "NoRepository")
    assert condition(found, "Rejected") is None


def test_nothing_was_made_for_what_was_rejected(let_in, space: Kubectl):
    for document in LET_IN.values():
        space.until(document["kind"], document["metadata"]["name"], is_true("Rejected"), "is rejected", 60)
    assert space.list("jobs") == []
    assert space.get("deployment", "late-5-pgbackrest") is None


def test_after_an_upgrade_the_webhook_is_back_at_the_door(let_in, space: Kubectl):
    assert "there is no Repository nobody" in space.refused(backup("bad", repository="nobody"))


def faults(said: str) -> list[str]:
    """The faults in what kubectl prints of a refusal: behind the object's name, several of them as a list."""
    _, refused, told = said.partition(" is invalid: ")
    assert refused, said
    lines = [line for line in told.splitlines() if line.strip()]
    return [line.removeprefix("* ") for line in lines]
