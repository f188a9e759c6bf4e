"""The steps of a Restore in their order, each with what has to be read before it can be judged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from controller.recovery.plan import Plan
from controller.restore import steps_finish, steps_prepare, steps_recover, steps_switch
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import SETTLED, StepVerdict
from controller.runtime import conditions
from pgwarden.api.objects import Object


class Need(Enum):
    ALL_PODS = auto()  # every pod of the namespace, as any may use the claims; else those of the Repository
    HOST = auto()  # `info` from the repository host
    AGENT = auto()  # what the agent beside PostgreSQL says: whether it takes writes
    RECOVERY = auto()  # what the agent in the recovery's pod says
    MEMBERS = auto()  # the PostgresCluster that the Repository belongs to, with its instances
    BACKUP = auto()  # the Backup after the Restore


@dataclass(frozen=True)
class Step:
    judge: Callable[[RestoreFacts], StepVerdict]
    needs: frozenset[Need] = frozenset()
    #: Skipped where the Restore fills a claim of its own, as nothing else is touched then.
    in_place: bool = False


def _step(judge: Callable[[RestoreFacts], StepVerdict], *needs: Need, in_place: bool = False) -> Step:
    return Step(judge, frozenset(needs), in_place)


STEPS = {
    "Validated": _step(steps_prepare.validated, Need.ALL_PODS, Need.HOST, Need.MEMBERS),
    "Fenced": _step(steps_prepare.fenced),
    "VolumeReady": _step(steps_prepare.volume_ready),
    "Restored": _step(steps_recover.restored, Need.RECOVERY),
    "Replayed": _step(steps_recover.replayed, Need.RECOVERY),
    "Stopped": _step(steps_switch.stopped, Need.ALL_PODS, Need.HOST, Need.MEMBERS, Need.RECOVERY, in_place=True),
    "Recovered": _step(steps_recover.recovered, Need.RECOVERY),
    "Swapped": _step(steps_switch.swapped, Need.ALL_PODS, Need.MEMBERS, in_place=True),
    "Started": _step(steps_finish.started, Need.AGENT, Need.MEMBERS, in_place=True),
    "BackedUp": _step(steps_finish.backed_up, Need.MEMBERS, Need.BACKUP, in_place=True),
}
_NEXT = dict(itertools.pairwise(STEPS))
#: Of those during which PostgreSQL is down the ones that read what the next one does.
_DOWN = frozenset({"Stopped", "Recovered"})
_UNDOING = frozenset({Need.ALL_PODS, Need.AGENT, Need.MEMBERS})


def needs(restore: Object, plan: Plan | None) -> frozenset[Need]:
    """What has to be read for the step that is judged next, or for the undoing."""
    if plan is not None and plan.ending is not None:
        return _UNDOING
    name = current(restore)
    return STEPS[name].needs if name else frozenset()


def current(restore: Object) -> str:
    """The step that is judged next; empty where all are settled."""
    listed = restore.get("status", {}).get("conditions", [])
    return next((name for name in STEPS if not is_settled(listed, name)), "")


def goes_on_at_once(step: str, read: frozenset[Need]) -> bool:
    """Whether the step after *step*, which is done, is judged in the same pass. PostgreSQL is down then, and each pass
    reads and writes for a tenth of a second or two.
    """
    return step in _DOWN and STEPS[_NEXT[step]].needs <= read


def is_settled(listed: list[Object], step: str) -> bool:
    found = conditions.find(listed, step)
    return found is not None and (found["status"] == "True" or found["reason"] in SETTLED)
