"""What Kubernetes refuses a Restore (a claim beyond a quota, a Job against a policy) is in its status, in its words.

Such an action is tried again, with growing pauses. Until it succeeds the status says so, rather than what is tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller import refusal
from controller.restore.decide import RestoreDecision
from controller.restore.verdict import Action
from pgwarden.kube.cache import Key
from pgwarden.kube.errors import Invalid

REASON = "KubernetesRefuses"


@dataclass(frozen=True)
class Refusal:
    action: Action
    message: str


class Refusals:
    def __init__(self) -> None:
        self._last: dict[Key, Refusal] = {}

    def note(self, key: Key, decision: RestoreDecision, error: Invalid) -> None:
        """The action of *decision* has ended in *error*: of a quota, a policy, an admission webhook."""
        if decision.action is not None:
            said = str(decision.status.get("message") or "")
            why = refusal.told("Kubernetes refuses it, and it is tried again", error)
            said = said.removesuffix(f": {why}")  # it was told with the refusal before
            self._last[key] = Refusal(decision.action, f"{said}: {why}")

    def told(self, key: Key, decision: RestoreDecision) -> RestoreDecision:
        """*decision*, whose status tells of the refusal where its action is the one that was refused."""
        last = self._last.get(key)
        if last is None or last.action != decision.action:
            return decision
        said = {"reason": REASON, "message": last.message}
        waiting = decision.status.get("message")
        told = [{**one, **said} if one["message"] == waiting else one for one in decision.status["conditions"]]
        return replace(decision, status={**decision.status, **said, "conditions": told})

    def done(self, key: Key, action: Action) -> None:
        if key in self._last and self._last[key].action == action:
            self.forget(key)

    def forget(self, key: Key) -> None:
        self._last.pop(key, None)
