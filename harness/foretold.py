"""What `kubectl pgwarden restore … --plan` says before a Restore, held against what the Restore then did."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from typing import Any

from harness.command_line import argv
from harness.kubectl import Kubectl, phase
from harness.waiting import SLOWER

Object = dict[str, Any]
_FLAGS = {"time": "--pitr-target", "lsn": "--target-lsn", "xid": "--target-xid", "name": "--target-name"}
_FIELDS = {"set": "--set", "targetTimeline": "--target-timeline", "volumeClaim": "--volume-claim", "image": "--image"}
#: Seconds that the time said at the prompt may lie from the one of the status: both are whole seconds.
_CLOSE = 1.5


def carried_out(space: Kubectl, restore: Object, seconds: float = 300) -> Object:
    """Create *restore* and wait for its end; its status, which is Completed, and as the plan had said before."""
    name, said = restore["metadata"]["name"], plan(space, restore)
    space.apply(restore)
    status: Object = space.until("pgr", name, phase("Completed", "Failed"), "ends", seconds)["status"]
    assert status["phase"] == "Completed", status["message"]
    assert differences(said, status) == []
    return status


def plan(space: Kubectl, restore: Object) -> Object:
    """The plan of the same Restore, by the command line, once the Repository's status has all backups that are over."""
    repository = restore["spec"]["repository"]
    made = [one["status"]["label"] for one in space.list("pgb") if one.get("status", {}).get("phase") == "Completed"]
    newest = max(made, key=lambda label: label.rpartition("_")[2][:15], default=None)
    if newest is not None:
        space.until(
            "pgrepo", repository, lambda one: newest in str(one["status"].get("backups")), f"lists {newest}", 60
        )
    return json.loads(_run(space, *_words(restore), "--plan", "-o", "json"))


def prompt(space: Kubectl, restore: Object) -> str:
    """The same for people."""
    return _run(space, *_words(restore), "--plan")


def _words(restore: Object) -> list[str]:
    spec = restore["spec"]
    first = ["undo", spec["undo"]] if spec.get("undo") else ["restore", spec["repository"]]
    target = spec.get("target") or {}
    given = [f"{flag}={target[kind]}" for kind, flag in _FLAGS.items() if kind in target]
    given += [f"{flag}={spec[field]}" for field, flag in _FIELDS.items() if spec.get(field)]
    given += ["--immediate"] if target.get("immediate") else []
    given += ["--delete-old-volume"] if spec.get("keepOldVolume") is False else []
    given += [f"--pgbackrest-storage-type={spec['storage']}"] if spec.get("storage") else []
    return [*first, *given, f"--name={restore['metadata']['name']}"]


def _run(space: Kubectl, *words: str) -> str:
    done = subprocess.run(
        argv(space, *words), capture_output=True, text=True, timeout=60 * SLOWER, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def differences(said: Object, status: Object, lost_until: str = "") -> list[str]:
    """Where *status*, of the Restore when it is over, is not as *said* by the plan.

    *lost_until* is the time of the last commit that is still there, as PostgreSQL writes it; empty where that is not
    looked at.
    """
    forecast = said["forecast"]
    pairs = {"set": (forecast.get("set"), status.get("set"))}
    pairs |= {name: (said.get(name), status.get(name)) for name in ("claim", "newClaim", "keptClaim") if name in said}
    wrong = [f"{name}: said {before}, was {after}" for name, (before, after) in pairs.items() if before != after]
    own = status.get("forecast") or {}
    same = ("set", "storage", "copyBytes", "targetTimeline")
    wrong += [
        f"forecast.{one}: said {forecast.get(one)}, the status {own.get(one)}"
        for one in same
        if forecast.get(one) != own.get(one)
    ]
    since = forecast.get("lostSince")
    if lost_until and since and (_moment(lost_until) - _moment(since)).total_seconds() > _CLOSE:
        wrong.append(f"lost: said all since {since}, but a commit of {lost_until} is there")
    return wrong


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
