"""The image of the repository host beside pods that were injected by another release, and what is said of them."""

from __future__ import annotations

import pytest

from controller.repository import tools
from controller.repository.tools import Speaker, Tools, View, choose, verdict, why_kept

OLD, NEW = Tools("pgwarden:1", "2.59"), Tools("pgwarden:2", "2.60")

HISTORY = (NEW, OLD)


def pod(name: str = "db-0", speaks: Tools = OLD, *, primary: bool = True) -> Speaker:
    return Speaker(name, speaks, primary)


def view(*pods: Speaker, host: Tools = OLD, new: Tools = NEW, history: tuple[Tools, ...] = HISTORY) -> View:
    return View(new, host, pods, history)


def said(seen: View, *, on_volume: bool = True) -> tuple[bool | None, str, str]:
    found = verdict(seen, on_volume=on_volume)
    assert found
    return found


def test_a_host_whose_pods_have_the_old_tools_keeps_its_image():
    assert choose(view(pod(), pod("db-1", primary=False))) == OLD.image


def test_a_host_whose_pods_are_all_new_takes_the_new_image():
    assert choose(view(pod(speaks=NEW), pod("db-1", NEW, primary=False))) == NEW.image


def test_an_image_with_the_same_pgbackrest_is_taken_at_once():
    same = Tools("pgwarden:2", OLD.version)
    assert choose(view(pod(), new=same)) == same.image


def test_an_image_with_the_same_pgbackrest_is_taken_at_once_though_a_pod_does_not_tell_its_own():
    same = Tools("pgwarden:2", OLD.version)
    assert choose(view(pod(speaks=Tools("pgwarden:0"), primary=False), new=same)) == same.image


@pytest.mark.parametrize(("primary", "image"), [(OLD, OLD.image), (NEW, NEW.image)])
def test_of_pods_that_differ_the_primary_decides(primary: Tools, image: str):
    replica = NEW if primary is OLD else OLD
    for host in (OLD, NEW):
        assert choose(view(pod("db-1", replica, primary=False), pod(speaks=primary), host=host)) == image


@pytest.mark.parametrize("host", [OLD, NEW])
def test_while_pods_differ_and_none_of_them_answers_as_a_primary_the_host_stays_as_it_is(host: Tools):
    assert choose(view(pod(primary=False), pod("db-1", NEW, primary=False), host=host)) == host.image


def test_a_pod_that_starts_anew_need_not_be_a_primary_yet_for_the_host_to_follow():
    assert choose(view(pod(speaks=NEW, primary=False))) == NEW.image


def test_a_pod_that_does_not_tell_its_version_keeps_the_host_unless_it_has_the_new_image():
    assert choose(view(pod(speaks=Tools(OLD.image), primary=False))) == OLD.image
    assert choose(view(pod(speaks=Tools(NEW.image), primary=False))) == NEW.image


def test_what_one_pod_says_of_its_image_is_true_of_another_that_does_not_answer():
    seen = view(pod(primary=False), pod("db-1", Tools(OLD.image), primary=False), host=Tools(OLD.image))
    assert seen.spoken == {"db-0": "2.59", "db-1": "2.59"}
    assert seen.of_host == "2.59"


def test_a_host_of_an_image_between_two_releases_stays_if_it_speaks_the_pods_version():
    between = Tools("pgwarden:1.1", OLD.version)
    assert choose(view(pod(), host=between)) == between.image


def test_a_host_that_has_yet_to_say_what_it_speaks_is_left_alone():
    assert choose(view(pod(), host=Tools("pgwarden:1.1"))) == "pgwarden:1.1"


def test_a_host_that_the_primary_does_not_understand_takes_the_primarys_image():
    """A failover back to a pod of before, or a release that is rolled back."""
    assert choose(view(pod(), host=NEW)) == OLD.image
    assert choose(view(pod(speaks=NEW), host=OLD, new=Tools("pgwarden:3", "2.61"))) == NEW.image


def test_a_host_that_is_made_anew_speaks_as_the_pods_do():
    assert choose(view(pod("db-1", Tools(), primary=False), pod(primary=False), host=Tools())) == OLD.image


def test_the_host_goes_back_to_its_own_image_of_that_version_and_never_to_one_that_a_pod_shows():
    mine = pod(speaks=Tools("stranger:1", "2.59"))
    assert choose(view(mine, host=NEW)) == OLD.image
    assert choose(view(mine, host=NEW, history=(NEW,))) == NEW.image
    assert choose(view(mine, host=Tools(), history=())) == NEW.image
    told = said(view(mine, host=NEW, history=(NEW,)))[2]
    assert told.endswith("until you restart the pod: no image of before is known that has 2.59")


def test_of_each_version_the_image_that_the_host_had_last_is_remembered_the_newest_first():
    before = tuple(Tools(f"pgwarden:0.{n}", f"2.5{n}") for n in (8, 7, 6, 5, 4))
    later = Tools("pgwarden:0.8.1", "2.58")
    assert [one["image"] for one in tools.entry(view(host=later, history=before))] == [
        "pgwarden:0.8.1", "pgwarden:0.7", "pgwarden:0.6", "pgwarden:0.5", "pgwarden:0.4",
    ]  # fmt: skip
    noted = tools.entry(view(host=NEW, history=before))
    assert [one["pgbackrestVersion"] for one in noted] == ["2.60", "2.58", "2.57", "2.56", "2.55"]
    assert tools.history({"status": {"hostImages": noted}})[0] == NEW
    assert tools.entry(view(host=Tools("of-unknown-version"), history=())) == []


def test_without_pods_the_new_image_is_taken_unless_an_operation_runs():
    assert choose(view()) == NEW.image
    assert choose(view(), busy=True) == OLD.image
    assert choose(view(host=Tools()), busy=True) == NEW.image


def test_nothing_is_held_back_where_this_releases_own_version_is_not_known():
    seen = view(pod(), new=Tools(NEW.image))
    assert choose(seen) == NEW.image
    assert verdict(seen, on_volume=True) is None


def test_pods_that_are_owed_a_restart_are_named_with_their_role_and_version():
    status, reason, message = said(view(pod(), pod("db-1", primary=False)))
    assert (status, reason) == (False, "PodsOwedRestart")
    assert message == (
        "restart pod db-0 (primary, pgBackRest 2.59) and pod db-1 (pgBackRest 2.59): this release of pgwarden has "
        "pgBackRest 2.60. Until then the repository host stays with 2.59, and archiving and backups go on"
    )


def test_a_replica_that_started_anew_before_its_primary_is_said_to_have_no_access():
    message = said(view(pod(), pod("db-1", NEW, primary=False)))[2]
    assert "restart pod db-0 (primary, pgBackRest 2.59):" in message
    assert message.endswith("no access to the repository, has db-1")


def test_a_replica_of_before_is_owed_a_restart_though_the_host_is_new():
    status, reason, message = said(view(pod(speaks=NEW), pod("db-1", OLD, primary=False), host=NEW))
    assert (status, reason) == (False, "PodsOwedRestart")
    assert message.startswith("restart pod db-1 (pgBackRest 2.59): ")
    assert "stays" not in message


@pytest.mark.parametrize(("on_volume", "lost"), [(True, "WAL waits in pg_wal"), (False, "no backup can be made")])
def test_a_host_that_the_primary_does_not_understand_is_told_with_what_that_costs(on_volume: bool, lost: str):
    status, reason, message = said(view(pod(speaks=NEW)), on_volume=on_volume)
    assert (status, reason) == (False, "VersionsDiffer")
    assert message == (
        "pod db-0 runs pgBackRest 2.60 and the repository host 2.59, which refuse each other: "
        f"{lost} until the host has started anew with 2.60"
    )


def test_a_host_whose_next_pod_has_yet_to_answer_still_speaks_what_the_one_before_told():
    reason, message = said(View(NEW, NEW, (pod(speaks=NEW),), HISTORY, answered="2.59"))[1:]
    assert reason == "VersionsDiffer"
    assert message.endswith("until the host has started anew with 2.60")


def test_all_of_one_version_is_true():
    assert said(view(pod(speaks=NEW), host=NEW)) == (
        True,
        "VersionsMatch",
        "the repository host and all PostgreSQL pods run pgBackRest 2.60",
    )


def test_images_that_differ_with_the_same_pgbackrest_owe_nothing():
    assert said(view(pod(), host=OLD, new=Tools("pgwarden:2", "2.59")))[:2] == (True, "VersionsMatch")


@pytest.mark.parametrize("seen", [view(pod(speaks=Tools("pgwarden:0"))), view(host=Tools("pgwarden:0"))])
def test_what_has_not_been_told_is_unknown(seen: View):
    assert said(seen)[:2] == (None, "VersionsUnknown")


def test_many_pods_are_named_up_to_ten():
    message = said(view(*(pod(f"db-{n}", primary=False) for n in range(12))))[2]
    assert "pod db-9 (pgBackRest 2.59) and 2 more:" in message
    assert "db-10" not in message


def test_a_kept_image_that_cannot_be_pulled_is_told_with_the_way_out():
    assert why_kept(view(pod())) == (
        "; this image is kept for pod db-0 (primary, pgBackRest 2.59); if it can no longer be pulled, restart it"
    )
    assert why_kept(view(pod(speaks=NEW), host=NEW)) == ""
    assert why_kept(tools.NOT_SEEN) == ""
