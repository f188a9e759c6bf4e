"""The two images the node itself needs, written as docker-archives by hand.

No registry can be pulled from and no image builder may be there yet: `pause`
is one static C program, `helper` is Debian's static busybox with a link per
applet (the storage provisioner makes and removes volume folders with it).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from functools import partial
from pathlib import Path

from localcluster.cache import Artifact
from localcluster.commands import run
from localcluster.versions import HELPER_IMAGE, PAUSE_IMAGE

# It must reap: with a shared pid namespace it is the parent of every orphan of the pod.
_PAUSE = r"""
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void leave(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  struct sigaction end = {.sa_handler = leave}, child = {.sa_handler = reap};
  child.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGINT, &end, 0);
  sigaction(SIGTERM, &end, 0);
  sigaction(SIGCHLD, &child, 0);
  for (;;) pause();
}
"""


def artifacts(busybox: Path) -> list[Artifact]:
    """Cache entries of both images; the version is a digest of what they are made from."""
    pause_version = hashlib.sha256(_PAUSE.encode()).hexdigest()[:12]
    busybox_version = hashlib.sha256(busybox.read_bytes()).hexdigest()[:12]
    return [
        Artifact("image-pause", pause_version, ("pause.tar",), _build_pause),
        Artifact("image-helper", busybox_version, ("helper.tar",), partial(_build_helper, busybox=busybox)),
    ]


def _build_pause(folder: Path) -> None:
    source, program = folder / "pause.c", folder / "pause"
    source.write_text(_PAUSE)
    run(["gcc", "-Os", "-static", "-s", "-o", program, source], way_out="install gcc and libc6-dev")
    layer = Layer()
    layer.file("pause", program.read_bytes())
    write_archive(folder / "pause.tar", PAUSE_IMAGE, layer, {"Entrypoint": ["/pause"], "User": "65535:65535"})
    source.unlink()
    program.unlink()


def _build_helper(folder: Path, busybox: Path) -> None:
    layer = Layer()
    for directory in ("bin", "etc", "proc", "sys", "dev", "root"):
        layer.directory(directory)
    layer.directory("tmp", 0o1777)
    layer.file("bin/busybox", busybox.read_bytes())
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
    layer.file("etc/group", b"root:x:0:\n", 0o644)
    for applet in run([busybox, "--list"]).split():
        if applet != "busybox":
            layer.link(f"bin/{applet}", "busybox")
    write_archive(folder / "helper.tar", HELPER_IMAGE, layer, {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]})


class Layer:
    """A reproducible tar layer: no times, no owners but root."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.GNU_FORMAT)

    def file(self, name: str, content: bytes, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))

    def directory(self, name: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def link(self, name: str, target: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self._tar.addfile(entry)

    def content(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


def write_archive(path: Path, reference: str, layer: Layer, config: dict[str, object]) -> None:
    """A one-layer docker-archive, the form `docker save` writes."""
    content = layer.content()
    digest = hashlib.sha256(content).hexdigest()
    image = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(image).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        for member, data in (
            (name, image),
            (f"{digest}/layer.tar", content),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
