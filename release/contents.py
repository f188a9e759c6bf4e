"""What an image consists of, read from its file system: Debian's packages and Python's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from urllib.parse import quote

#: In the image: what the relocated pgBackRest and its libraries came from (images/relocate.sh).
TOOLS = "pgwarden/tools/etc/packages.txt"
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, order=True)
class Package:
    """One of Debian's (`deb`) or of Python's (`pypi`); *place*: where it is, if it is not installed as usual."""

    kind: str
    name: str
    version: str
    architecture: str = ""
    place: str = ""

    @property
    def purl(self) -> str:
        """Its package URL."""
        name = f"debian/{self.name}" if self.kind == "deb" else re.sub(r"[-_.]+", "-", self.name).lower()
        arch = f"?arch={self.architecture}" if self.architecture else ""
        return f"pkg:{self.kind}/{name}@{quote(self.version, safe='~')}{arch}"

    @property
    def line(self) -> str:
        """As in a recorded list."""
        return " ".join(filter(None, (self.kind, self.name, self.version, self.architecture, self.place)))


def of_image(root: Path) -> list[Package]:
    """All packages below *root*, sorted."""
    found = {*installed(root), *relocated(root), *distributions(root)}
    return sorted(found)


def installed(root: Path) -> Iterable[Package]:
    """What dpkg has installed."""
    for text in (root / "var/lib/dpkg/status").read_text("utf-8").split("\n\n"):
        fields = HeaderParser().parsestr(text)
        if fields.get("Status", "").endswith(" installed"):
            yield Package("deb", fields["Package"], fields["Version"], fields["Architecture"])


def relocated(root: Path) -> Iterable[Package]:
    """What the tools came from; the file system holds a copy that dpkg knows nothing of."""
    if (root / TOOLS).is_file():
        for line in (root / TOOLS).read_text("utf-8").splitlines():
            name, version, architecture = line.split()
            yield Package("deb", name, version, architecture, "/pgwarden/tools")


def distributions(root: Path) -> Iterable[Package]:
    """Python's, in the environment that the image runs."""
    for path in root.glob("opt/pgwarden/lib/python*/site-packages/*.dist-info/METADATA"):
        fields = HeaderParser().parsestr(path.read_text("utf-8"))
        yield Package("pypi", fields["Name"], fields["Version"])


def locked(text: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each distribution of a lock."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in text.splitlines():
        if match := _LOCKED.match(line):
            name = match[1]
            found[name] = (match[2], [])
        if name:
            found[name][1].extend(_HASH.findall(line))
    return found


def strays(packages: Iterable[Package], lock: str) -> list[str]:
    """Python packages of the image that the lock does not have in that version."""
    known = {re.sub(r"[-_.]+", "-", name).lower(): version for name, (version, _) in locked(lock).items()}
    return [
        found.line
        for found in packages
        if found.kind == "pypi" and known.get(re.sub(r"[-_.]+", "-", found.name).lower()) != found.version
    ]


def differences(recorded: Iterable[str], packages: Iterable[Package]) -> list[str]:
    """Lines that the recorded list has and the image lacks (`-`), and the other way round (`+`)."""
    before = {line.strip() for line in recorded if line.strip() and not line.startswith("#")}
    now = {found.line for found in packages}
    return sorted(f"- {line}" for line in before - now) + sorted(f"+ {line}" for line in now - before)
