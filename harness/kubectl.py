"""kubectl as a value: one kubeconfig, one namespace, plain results."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from harness import reads
from harness.processes import started
from harness.waiting import SLOWER, patient, until

Object = dict[str, Any]


#: How kubectl says that there is no API server, and that it has asked for nothing yet.
_AWAY = ("Unable to connect to the server", "did you specify the right host or port")


class KubectlError(AssertionError):
    """kubectl said no. The message is its own."""


@dataclass(frozen=True)
class Kubectl:
    program: str
    kubeconfig: Path
    namespace: str = "default"
    patience: float = 0.0  # seconds for which an API server that is away is waited for

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)

    def run(
        self, *args: str, stdin: str | None = None, check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        argv = [self.program, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *map(patient, args)]
        given: Mapping[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        until_then = time.monotonic() + self.patience
        while True:
            done = subprocess.run(argv, text=True, capture_output=True, timeout=seconds * SLOWER, check=False, **given)
            away = done.returncode != 0 and any(text in done.stderr for text in _AWAY)
            if not away or time.monotonic() >= until_then:
                break
            time.sleep(0.5)
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: exit {done.returncode}\n{done.stderr.strip()}")
        return done

    def lines(self, *args: str) -> Iterator[str]:
        """What kubectl prints, as it comes; it is ended when nobody asks for more."""
        argv = [self.program, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *args]
        with started(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield from process.stdout

    def apply(self, *documents: Object | str, seconds: float = 60) -> str:
        text = "\n---\n".join(one if isinstance(one, str) else yaml.safe_dump(one) for one in documents)
        return self.run("apply", "-f", "-", stdin=text, seconds=seconds).stdout

    def refused(self, *documents: Object | str) -> str:
        """What `kubectl apply` says when it is refused; KubectlError where it was not."""
        text = "\n---\n".join(one if isinstance(one, str) else yaml.safe_dump(one) for one in documents)
        done = self.run("apply", "-f", "-", stdin=text, check=False)
        if done.returncode == 0:
            raise KubectlError(f"was not refused: {done.stdout}")
        return done.stderr

    def get(self, kind: str, name: str) -> Object | None:
        with contextlib.suppress(reads.Unclear):
            return reads.of(self.kubeconfig).get(kind, name, self.namespace)
        done = self.run("get", kind, name, "-o", "json", "--ignore-not-found", check=False)
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def list(self, kind: str, selector: str = "") -> list[Object]:
        with contextlib.suppress(reads.Unclear):
            return reads.of(self.kubeconfig).list(kind, selector, self.namespace)
        extra = ["-l", selector] if selector else []
        return list(json.loads(self.run("get", kind, "-o", "json", *extra).stdout)["items"])

    def delete(self, kind: str, name: str, *, wait: bool = True, seconds: float = 120) -> None:
        self.run("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}", seconds=seconds)

    def until(self, kind: str, name: str, good: Callable[[Object], bool], what: str, seconds: float = 180) -> Object:
        """Wait until the object is there and *good*; the failure shows its status as it was last.

        What *good* looks for may not have been written yet: a KeyError of its is no answer.
        """
        last: list[Object | None] = [None]

        def look() -> Object | None:
            found = last[0] = self.get(kind, name)
            with contextlib.suppress(KeyError):
                return found if found is not None and good(found) else None
            return None

        def seen() -> str:
            return yaml.safe_dump((last[0] or {}).get("status") or {"object": "not there"}, sort_keys=False)[:4000]

        return until(look, f"{kind} {name} {what}", seconds, seen)


def condition(obj: Object, kind: str) -> Object | None:
    return next((one for one in obj.get("status", {}).get("conditions", []) if one["type"] == kind), None)


def is_true(kind: str) -> Callable[[Object], bool]:
    """A test for `until`: the condition is True."""

    def good(obj: Object) -> bool:
        found = condition(obj, kind)
        return found is not None and found["status"] == "True"

    return good


def phase(*wanted: str) -> Callable[[Object], bool]:
    def good(obj: Object) -> bool:
        return obj.get("status", {}).get("phase") in wanted

    return good
