"""The image's own root folder, so that the webhook is measured with the Python and the libraries that users run it with."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from localcluster.image_inputs import IMAGES
from localcluster.images import Store

_PYTHON = "/opt/pgwarden/bin/python3"
PROGRAMS = ("serve.py", "constant.py")
#: In a mount namespace of its own: its /proc is gone with the process, and no other process sees it.
_ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


def unpack(folder: Path) -> list[str]:
    """The command that starts Python in the image, unpacked below *folder*. Needs root, as building does."""
    archive, root = Store().build(IMAGES["pgwarden"]), folder / "root"
    root.mkdir()
    with tarfile.open(archive) as image:
        (manifest,) = json.load(_member(image, "manifest.json"))
        for layer in manifest["Layers"]:
            subprocess.run(["tar", "-xf", "-", "-C", root], input=_member(image, layer).read(), check=True)
        config = json.load(_member(image, manifest["Config"]))
    for name in PROGRAMS:
        shutil.copyfile(Path(__file__).with_name(name), root / name)
    variables = [each for each in config["config"]["Env"] if each.startswith("PYTHON")]
    return ["unshare", "--mount", "sh", "-c", _ENTER, str(root), "/usr/bin/env", *variables, _PYTHON]


def _member(image: tarfile.TarFile, name: str) -> tarfile.ExFileObject:
    found = image.extractfile(name)
    assert found is not None, f"the image's archive has no {name}"
    return found


def version(python: list[str]) -> str:
    words = [*python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
