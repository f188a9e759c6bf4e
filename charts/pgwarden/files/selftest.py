# ruff: noqa: INP001, PTH123, S310 - one file of its own, read by people
"""What `helm test` runs: asks the API server, by dry run, for objects that pgwarden's webhook must refuse.

Only the standard library, and only dry runs: nothing is created, whatever the answer.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
WRONG = "pgwarden-selftest"  # no type of backup
ABSENT = "pgwarden-selftest-absent"  # a Repository that nobody has
PAUSE = 2.0  # seconds between two tries


def labelled_pod():
    """A pod that only pgwarden has a reason to refuse."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    small = {"cpu": "1m", "memory": "8Mi"}
    container = {
        "name": "postgres",
        "image": "postgres",
        "securityContext": restricted,
        "resources": {"requests": small, "limits": small},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "pgwarden-selftest-", "labels": {"pgwarden.io/repository": ABSENT}},
        "spec": {"containers": [container], "automountServiceAccountToken": False, "restartPolicy": "Never"},
    }


def backup():
    """Wrong twice. The schema alone would refuse it as well, but the webhook is asked first and says who it is."""
    return {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": "Backup",
        "metadata": {"generateName": "pgwarden-selftest-"},
        "spec": {"repository": ABSENT, "type": WRONG},
    }


def checks(own, other):
    """(what, path, object, webhook that must refuse, its words). *other* is empty where no pod is to be asked for."""
    found = [
        (
            "a Backup of no known type, of a Repository that does not exist",
            f"/apis/pgwarden.io/v1alpha1/namespaces/{own}/backups",
            backup(),
            "check.pgwarden.io",
            (WRONG,),
        )
    ]
    if other:
        found.append(
            (
                f"a labelled pod in namespace {other} whose Repository does not exist",
                f"/api/v1/namespaces/{other}/pods",
                labelled_pod(),
                "pods.pgwarden.io",
                ("there is no Repository", ABSENT),
            )
        )
    return found


def verdict(code, message, webhook, words):
    """None where *webhook* refused in these *words*, else what is wrong."""
    if code < 300:
        return "it was accepted: no webhook was asked"
    if f'admission webhook "{webhook}" denied the request' in message and all(word in message for word in words):
        return None
    return f"HTTP {code}: {message}"


def api_server():
    """A function (path, object) → (HTTP status, message) that asks for a dry-run create."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # it refuses the CAs of EKS and others, which have no key identifiers
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))

    def create(path, obj):
        with open(f"{ACCOUNT}/token", encoding="utf-8") as stream:
            token = stream.read().strip()
        request = urllib.request.Request(
            f"{server}{path}?dryRun=All",
            data=json.dumps(obj).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method="POST",
        )
        try:
            with opener.open(request, timeout=35) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")
            try:
                return error.code, json.loads(body)["message"]
            except (ValueError, KeyError, TypeError):
                return error.code, body
        except OSError as error:
            return 599, f"the API server cannot be reached: {error}"

    return create


def run(create, wanted, seconds, pause=PAUSE):
    """Try each check until it passes or the time is up. A new installation may not have its certificate yet."""
    deadline = time.monotonic() + seconds
    failed = 0
    for what, path, obj, webhook, words in wanted:
        while True:
            wrong = verdict(*create(path, obj), webhook, words)
            if wrong is None or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        failed += wrong is not None
        said = f"ok: refused {what}" if wrong is None else f"FAILED: {what} was not refused by the webhook; {wrong}"
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(
        bool(
            run(
                api_server(),
                checks(os.environ["SELFTEST_OWN_NAMESPACE"], os.environ.get("SELFTEST_NAMESPACE", "")),
                float(os.environ["SELFTEST_SECONDS"]),
            )
        )
    )
