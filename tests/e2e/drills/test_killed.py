"""A drill under fire: controller, pods, Jobs and the drill itself ended at its steps. It passes, or says why, and leaves
nothing. `make drills`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness import drill_report
from harness.direct import Direct, direct
from harness.drill_report import Answer
from harness.install import kill_controller
from harness.killing import end_pod
from harness.kubectl import Kubectl, Object, phase
from harness.objects import backed_up, drill
from harness.waiting import until

pytestmark = pytest.mark.timeout(600)
TRIES = 4  # pods with checks of one drill
SLOW = {"name": "slow", "sql": "SELECT count(*) FROM pg_sleep(4)", "expect": "1"}


@pytest.fixture(scope="module")
def api(installed, space: Kubectl) -> Iterator[Direct]:
    found = backed_up(space, installed.postgres_image)
    found.sql("INSERT INTO notes VALUES (2, 'after the backup')")
    with direct(space) as port:
        yield port


@pytest.fixture(scope="module")
def answers() -> Iterator[list[Answer]]:
    found: list[Answer] = []
    yield found
    drill_report.save("killed", found)


def restoring(space: Kubectl, name: str) -> Object | None:
    """The pod of its Restore, which works."""
    found = space.list("pods", f"pgwarden.io/restore={name}-drill")
    return next((pod for pod in found if pod["status"].get("phase") == "Running"), None)


def checking(space: Kubectl, name: str) -> Object | None:
    """The pod with the checks, once the server in it has started."""
    for pod in space.list("pods", f"pgwarden.io/drill={name},pgwarden.io/component=drill"):
        said = space.run("logs", pod["metadata"]["name"], check=False).stdout
        if pod["status"].get("phase") == "Running" and "Passed\tpgwarden/start" in said:
            return pod
    return None


def cleaning(space: Kubectl, name: str) -> Object | None:
    found = space.get("pgdrill", name)
    return found if found and (found.get("status") or {}).get("phase") in {"Completed", "Failed"} else None


def controller(space: Kubectl, api: Direct, name: str, at: Object) -> None:
    kill_controller(space)


def pod(space: Kubectl, api: Direct, name: str, at: Object) -> None:
    end_pod(api, at)


def politely(space: Kubectl, api: Direct, name: str, at: Object) -> None:
    """As a drain of its node does."""
    space.delete("pod", at["metadata"]["name"])


def each_pod(space: Kubectl, api: Direct, name: str, at: Object) -> None:
    end_pod(api, at)
    gone = {at["metadata"]["uid"]}
    while len(gone) < TRIES:
        found = until(lambda: another(space, name, gone), "another pod checks", 120, pause=0.1)
        end_pod(api, found)
        gone.add(found["metadata"]["uid"])


def another(space: Kubectl, name: str, gone: set[str]) -> Object | None:
    found = checking(space, name)
    return found if found and found["metadata"]["uid"] not in gone else None


def job(space: Kubectl, api: Direct, name: str, at: Object) -> None:
    space.delete("job", f"{name}-drill-checks", wait=False)


Step = Callable[[Kubectl, str], Object | None]
Harm = Callable[[Kubectl, Direct, str, Object], None]
CASES: list[tuple[str, Step, str, Harm, str]] = [
    ("its Restore works", restoring, "the controller killed", controller, "Completed"),
    ("its Restore works", restoring, "its pod killed", pod, "Completed"),
    ("the checks run", checking, "the controller killed", controller, "Completed"),
    ("the checks run", checking, "the pod killed", pod, "Completed"),
    ("the checks run", checking, "the pod drained", politely, "Completed"),
    ("the checks run", checking, "the Job deleted", job, "Completed"),
    ("the checks run", checking, "each pod killed, four in all", each_pod, "ChecksInterrupted"),
    ("it has ended", cleaning, "the controller killed", controller, "Completed"),
]


def left(space: Kubectl, name: str) -> list[str]:
    claims = space.run("get", "pvc,pgr,networkpolicy", "-o", "name").stdout.split()
    work = space.run("get", "job,pod", "-o", "name").stdout.split()
    return [one for one in claims + work if f"/{name}-drill" in one]


@pytest.mark.parametrize(("at", "step", "what", "harm", "reason"), CASES, ids=[f"{one[0]}, {one[2]}" for one in CASES])
def test_it_goes_on_or_says_why_and_leaves_nothing(
    api: Direct, space: Kubectl, answers: list[Answer], at: str, step: Step, what: str, harm: Harm, reason: str
):
    name = f"case-{len(answers)}"
    space.apply(drill(name, SLOW, {"name": "rows", "sql": "SELECT count(*) FROM notes", "expect": "2"}))
    harm(space, api, name, until(lambda: step(space, name), at, 120, pause=0.1))
    done = space.until("pgdrill", name, phase("Completed", "Failed"), "ends", 300)
    answers.append(Answer.of(f"{at}: {what}", done["status"]))
    assert done["status"]["reason"] == reason, done["status"]["message"]
    until(lambda: not left(space, name), f"nothing of drill {name} is left", 120, lambda: str(left(space, name)))


@pytest.mark.parametrize("step", [restoring, checking], ids=["its Restore works", "the checks run"])
def test_one_that_is_deleted_while_the_controller_is_away_leaves_nothing(api: Direct, space: Kubectl, step: Step):
    name = f"deleted-{step.__name__}"
    space.apply(drill(name, SLOW))
    until(lambda: step(space, name), "it works", 120, pause=0.1)
    kill_controller(space)
    space.run("delete", "pgdrill", name, "--timeout=120s", seconds=150)
    until(lambda: not left(space, name), f"nothing of drill {name} is left", 120, lambda: str(left(space, name)))
