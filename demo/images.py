"""Whether a cluster can pull the images: asked by a pod that runs nothing but `true`, before anything is installed."""

from __future__ import annotations

import json

import yaml

from demo.narrator import DemoError, Narrator

#: What the kubelet says of an image that will not come.
HOPELESS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
POD = "image-check"


def check_images(tell: Narrator, namespace: str, images: list[str]) -> None:
    containers = [
        {"name": f"image-{number}", "image": image, "command": ["true"]} for number, image in enumerate(images)
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {"restartPolicy": "Never", "containers": containers},
    }
    text = yaml.safe_dump(pod).replace("'", "'\\''")
    code, _, err = tell.run(f"printf '%s' '{text}' | kubectl -n {namespace} apply -f -")
    if code:
        raise DemoError(f"the cluster refused a pod with these images: {err.strip()}")
    hint = f"kubectl -n {namespace} describe pod {POD}"
    tell.wait(f"a pod with {' and '.join(images)}", lambda: _seen(tell, namespace), 300, hint)
    tell.run(f"kubectl -n {namespace} delete pod {POD} --wait=false")


def _seen(tell: Narrator, namespace: str) -> tuple[bool, str]:
    code, out, err = tell.run(f"kubectl -n {namespace} get pod {POD} -o json")
    if code:
        return False, err.strip()
    statuses = json.loads(out).get("status", {}).get("containerStatuses", [])
    for status in statuses:
        waiting = status.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in HOPELESS:
            raise DemoError(
                f"image {status['image']} cannot be pulled: {waiting['reason']}: {waiting.get('message', '')}",
                f"kubectl -n {namespace} describe pod {POD}",
                "is the name right, can the nodes reach that registry, does it need a pull Secret?",
            )
    here = [status["image"] for status in statuses if status.get("imageID")]
    done = bool(statuses) and all(status.get("imageID") for status in statuses)
    return done, f"there: {', '.join(here)}" if here else ""
