"""The API server without a process per question: for what has to happen within milliseconds of something else."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.kubectl import Kubectl, Object
from harness.processes import started

CUSTOM = "/apis/pgwarden.io/v1alpha1"


@dataclass(frozen=True)
class Direct:
    """Through `kubectl proxy`, so with kubectl's own access."""

    port: int

    def get(self, path: str) -> Object | None:
        status, body = self._ask("GET", path)
        return body if status == 200 else None

    def items(self, path: str, selector: str = "") -> list[Object]:
        found = self.get(f"{path}?labelSelector={selector}" if selector else path)
        return list((found or {}).get("items", []))

    def create(self, path: str, body: Object) -> Object:
        status, made = self._ask("POST", path, body)
        if status not in {200, 201}:
            raise AssertionError(f"POST {path}: {status} {made.get('message')}")
        return made

    def delete(self, path: str, *, at_once: bool = False) -> None:
        """*at_once* leaves it no grace, as the loss of a node does."""
        self._ask("DELETE", path, {"gracePeriodSeconds": 0} if at_once else None)

    def watch(self, path: str, name: str, seconds: int) -> Iterator[Object]:
        """The object *name* each time that it changes, beginning with how it is.

        A watch that the API server ends with an error (an API server that was slow or away) is begun again.
        """
        end = time.monotonic() + seconds
        while (left := int(end - time.monotonic())) > 0:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=left + 10)
            query = f"watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds={left}"
            try:
                connection.request("GET", f"{path}?{query}")
                for line in connection.getresponse():
                    event = json.loads(line)
                    if event.get("type") not in {"ADDED", "MODIFIED", "DELETED"}:
                        break  # or the answer is no watch, but says why there is none
                    yield event["object"]
            finally:
                connection.close()
            time.sleep(0.2)

    def _ask(self, method: str, path: str, body: Object | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()


@contextmanager
def direct(kubectl: Kubectl) -> Iterator[Direct]:
    argv = [kubectl.program, f"--kubeconfig={kubectl.kubeconfig}", "proxy", "--port=0"]
    with started(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+)", process.stdout.readline())
        if found is None:
            raise AssertionError("kubectl proxy does not say its port")
        yield Direct(int(found[1]))
