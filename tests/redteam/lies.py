"""What test_liars.py lies with, and what it measures: liar.py in a pod, and the controller's memory meanwhile."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object
from harness.waiting import until
from pgwarden.api import names
from tests.redteam.town import address

LIAR = (Path(__file__).parent / "liar.py").read_text()
_LISTENS = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)"
_TELL = "import pathlib, sys; [pathlib.Path(sys.argv[1], name).write_text(text) for name, text in zip(sys.argv[2::2], sys.argv[3::2])]"
_ASKED = "import pathlib, sys; print(len(pathlib.Path(sys.argv[1], 'asked').read_text()))"
_PEAK = "print(next(l for l in open('/proc/1/status') if l.startswith('VmHWM')).split()[1])"
_END = "import os; os.kill(1, 15)"  # by the number: the process that it ends is not a child of ours
_READ = "import json, pathlib; print(json.dumps({n: pathlib.Path('/pgwarden/conf', n).read_text() for n in ('tls.crt', 'tls.key', 'ca.crt')}))"
_MADE = """
import datetime, json, sys
from controller import certificates
now = datetime.datetime.now(datetime.UTC)
ca = certificates.new_ca("lies", now)
pair = certificates.issue(ca, sys.argv[1], [sys.argv[1]], now)
print(json.dumps({"cert": pair.cert.decode(), "key": pair.key.decode(), "ca": ca.cert.decode()}))
"""


class Liar(NamedTuple):
    """liar.py, in a container of a pod."""

    kubectl: Kubectl
    pod: str
    container: str
    home: str

    def python(self, code: str, *words: str, stdin: str | None = None) -> str:
        source = "-" if stdin is not None else "-c"
        argv = ("exec", "-i", self.pod, "-c", self.container, "--", "python3", source)
        return self.kubectl.run(*argv, *([] if stdin is not None else [code]), *words, stdin=stdin).stdout

    def begin(self, port: int, cert: str, key: str) -> None:
        """From when the port is free."""
        job = {"port": port, "cert": cert, "key": key, "home": self.home}
        self.python("", json.dumps(job), stdin=LIAR)

    def wait_listening(self) -> None:
        self.python(_LISTENS, f"{self.home}/listens")

    def tell(self, lie: str, elsewhere: str = "") -> None:
        self.python(_TELL, self.home, "lie", lie, "elsewhere", elsewhere, "asked", "")

    def asked(self) -> int:
        """How often it was asked since that lie."""
        return int(self.python(_ASKED, self.home))

    def wait_asked(self, times: int = 1) -> None:
        until(lambda: self.asked() >= times, f"{self.pod} is asked", 90, pause=1)


def certificate(liar: Liar, name: str) -> dict[str, str]:
    """For *name*, of a CA of the liar's own; and that."""
    found: dict[str, str] = json.loads(liar.python(_MADE, name))
    return found


def keys(kubectl: Kubectl, pod: str, container: str) -> dict[str, str]:
    """What the agent in that container shows who asks it."""
    found: dict[str, str] = json.loads(kubectl.run("exec", pod, "-c", container, "--", "python3", "-c", _READ).stdout)
    return found


def take_over(kubectl: Kubectl, image: str, pod: str, agent: str) -> Liar:
    """A container more in that pod, with the agent's keys and in its place."""
    policy = "Never" if image.startswith("localhost/") else "IfNotPresent"
    kubectl.run(
        "debug", f"pod/{pod}", f"--image={image}", f"--image-pull-policy={policy}", "--container=liar",
        "--profile=general", "--attach=false", "--", "python3", "-c", "import signal; signal.pause()",
    )  # fmt: skip

    def runs(found: Object) -> bool:
        return any("running" in one["state"] for one in found["status"].get("ephemeralContainerStatuses", []))

    kubectl.until("pod", pod, runs, "has the liar", 60)
    liar, own = Liar(kubectl, pod, "liar", "/tmp/lies"), keys(kubectl, pod, agent)
    liar.begin(names.PORT_AGENT, own["tls.crt"], own["tls.key"])
    kubectl.run("exec", pod, "-c", agent, "--", "python3", "-c", _END, check=False)
    liar.wait_listening()
    return liar


class Controller(NamedTuple):
    """The pods of the controller, as they are now."""

    system: Kubectl

    def pods(self) -> list[Object]:
        return self.system.list("pods", "app.kubernetes.io/component=controller")

    def restarts(self) -> dict[str, int]:
        return {
            one["metadata"]["name"]: sum(each["restartCount"] for each in one["status"]["containerStatuses"])
            for one in self.pods()
        }

    def peak(self) -> int:
        """MiB that the process of one of them had at most, ever."""
        seen = (
            self.system.run("exec", one["metadata"]["name"], "--", "python3", "-c", _PEAK).stdout for one in self.pods()
        )
        return max(int(found) for found in seen) // 1024


def controller(kubectl: Kubectl) -> Controller:
    return Controller(kubectl.within(NAMESPACE))


def metrics_of_controller(kubectl: Kubectl) -> str:
    where = address(kubectl.within(NAMESPACE), "app.kubernetes.io/component=controller")
    return f"http://{where}:8080/metrics"


def forged(text: str, change: dict[str, Object]) -> str:
    """backup.info with each set of *change* over its first one's entry, and the checksum that pgBackRest asks for."""
    lines = text.splitlines()
    at = lines.index("[backup:current]") + 1
    first = json.loads(lines[at].partition("=")[2])
    lines[at:at] = [f"{label}={json.dumps(first | over, separators=(',', ':'))}" for label, over in change.items()]
    return "\n".join(_sealed(lines)) + "\n"


def _sealed(lines: list[str]) -> list[str]:
    told = [number for number, line in enumerate(lines) if line.startswith("backrest-checksum=")]
    lines[told[0]] = f'backrest-checksum="{checksum(lines)}"'
    return lines


def checksum(lines: list[str]) -> str:
    """As pgBackRest's infoSave makes it: of the sections as one object of JSON, without the checksum and its section."""
    sections: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        section = re.fullmatch(r"\[(.+)\]", line)
        if section:
            name = section[1]
        elif line and not line.startswith("backrest-checksum="):
            key, _, value = line.partition("=")
            sections.setdefault(name, []).append(f"{json.dumps(key, ensure_ascii=False)}:{value}")
    whole = ",".join(f'"{section}":{{{",".join(entries)}}}' for section, entries in sections.items())
    return hashlib.sha1(f"{{{whole}}}".encode(), usedforsecurity=False).hexdigest()
