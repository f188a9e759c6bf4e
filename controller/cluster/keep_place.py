"""Runs in an instance's pod beside Patroni, by the Python that Patroni runs with and what comes with Python alone.

For when the API server is away Patroni notes its members (annotation `failsafe` of CLUSTER-leader: name → address). A
primary goes on while all of them agree, and only they may become primary. A member has its pod's name, and each pod of
an instance another one. So the new pod takes the place of the earlier one, which is of the same volume; without that a
cluster of which all pods are new would have no primary for ever (Patroni's Ha.is_healthiest_node).

Arguments: the ConfigMap's name, and what Patroni speaks (http, https). It tries until nothing is left to be changed.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
import time
from pathlib import Path

_MARK = "failsafe"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Seconds for an answer, and between two tries.
_PATIENCE, _PAUSE = 10, 2


def with_place(noted: str | None, instance: str, pod: str, url: str) -> str | None:
    """What is to be noted instead of *noted*, None where that is right. *url*: where the pod's Patroni answers."""
    try:
        members = json.loads(noted or "")
    except ValueError:
        return None
    if not isinstance(members, dict) or pod in members:
        return None
    kept = {name: url for name, url in members.items() if name.rsplit("-", 2)[0] != instance}
    if len(kept) == len(members):
        return None
    return json.dumps(kept | {pod: f"{url}/patroni"}, separators=(",", ":"), sort_keys=True)


def keep(api: http.client.HTTPConnection, path: str, token: str, scheme: str) -> bool:
    """One look, and one change where one is due; whether nothing is left to be done. Raises OSError, HTTPException."""
    headers = {"Authorization": f"Bearer {token}"}
    api.request("GET", path, headers=headers)
    answer = api.getresponse()
    text = answer.read()
    if answer.status != http.HTTPStatus.OK:
        return answer.status == http.HTTPStatus.NOT_FOUND
    found = json.loads(text)["metadata"]
    noted = (found.get("annotations") or {}).get(_MARK)
    url = f"{scheme}://{os.environ['PATRONI_RESTAPI_CONNECT_ADDRESS']}"
    wanted = with_place(noted, os.environ["PGWARDEN_INSTANCE"], os.environ["PATRONI_NAME"], url)
    if wanted is None:
        return True
    change = {"metadata": {"resourceVersion": found["resourceVersion"], "annotations": {_MARK: wanted}}}
    kind = {"Content-Type": "application/merge-patch+json"}
    api.request("PATCH", path, body=json.dumps(change), headers=headers | kind)
    return api.getresponse().status == http.HTTPStatus.OK


def context(ca: Path) -> ssl.SSLContext:
    """As pgwarden/kube/tls.py, which is not here: the CA of many a cluster lacks what Python 3.13 asks of one."""
    made = ssl.create_default_context(cafile=str(ca))
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def main(name: str, scheme: str) -> None:
    path = f"/api/v1/namespaces/{os.environ['PATRONI_KUBERNETES_NAMESPACE']}/configmaps/{name}"
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    while True:
        try:
            tls = context(_ACCOUNT / "ca.crt")
            token = (_ACCOUNT / "token").read_text(encoding="ascii").strip()  # it is renewed
            if keep(http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=tls), path, token, scheme):
                return
        except (OSError, http.client.HTTPException, ValueError):
            pass
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
