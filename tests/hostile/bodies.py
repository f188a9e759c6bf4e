"""AdmissionReviews that no API server would send: each is made from a seed and a number, so that it can be made again."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from bench.webhook import shapes

HUGE = 10_000_000  # bytes of a pod
_STRINGS = (
    "", " ", "\x00", "\ud800", "🐘" * 20, "\u202eevil", "٣", "a" * 300, "../../etc/passwd", "$(X)", "$(PGDATA)", "hippo", "rhino",
    "nobody", "pgwarden", "pgwarden-conf", "/pgwarden/tools", "/", "//", "/var/run/..", "-c", "archive_command=x",
    "--archive-mode=off", "postgres", "0 1 * * *", "s3,local", "10Gi", "--type=full", "2026-11-15T10:00:00Z", "latest",
    "%s%n", "'; DROP TABLE", "\n\r\n", "http://[::1]", "{{.}}", "CREATE", "DELETE", "full",
)  # fmt: skip
_LEAVES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**70),
    0.5,
    1e308,
    8432,
    999,
    [],
    {},
    [None],
    [[]],
    {"": None},
)
_OPERATIONS = ("CREATE", "CREATE", "CREATE", "CREATE", "UPDATE", "DELETE", "CONNECT", "PATCH", "", "create")
_KINDS = ("Repository", "Backup", "BackupSchedule", "Restore", "PostgresCluster", "Pod", "Secret", "", "repository")
_SPECS: dict[str, dict[str, Any]] = {
    "Repository": {
        "storageType": "local,s3",
        "local": {"size": "10Gi"},
        "s3": {"bucket": "b-1", "endpoint": "minio:9000", "region": "x", "credentialsSecretRef": {"name": "s"}},
        "retention": {"full": 3},
        "options": ["--process-max=4"],
    },
    "Backup": {"repository": "hippo", "type": "full", "options": ["--repo1-retention-full=7 --start-fast"]},
    "BackupSchedule": {"repository": "hippo", "schedule": "0 1 * * *", "timeZone": "Europe/Zurich", "type": "incr"},
    "Restore": {
        "repository": "rhino",
        "target": {"time": "2026-11-15T10:00:00Z"},
        "set": "latest",
        "targetTimeline": "2",
    },
    "PostgresCluster": {
        "instances": {"replicas": 2, "storage": {"size": "1Gi"}},
        "repository": {"storageType": "local"},
        "parameters": {"max_connections": 100, "work_mem": "4MB"},
    },
}
_PODS = [json.dumps(pod) for pod in shapes.pods()]


def body(seed: str, number: int) -> bytes:
    """Review *number* of *seed*."""
    rng = random.Random(f"{seed}:{number}")
    if number % 5_000 == 4_999:
        return _huge(rng)
    make = rng.choices((_bent, _torn, _deep, _scrap), (70, 22, 4, 4))[0]
    return make(rng)


def _review(rng: random.Random) -> dict[str, Any]:
    """A sound review, of a labelled pod or of one of our kinds."""
    if rng.random() < 0.55:
        obj, kind = json.loads(rng.choice(_PODS)), {"group": "", "version": "v1", "kind": "Pod"}
        obj["metadata"]["labels"]["pgwarden.io/repository"] = rng.choice(("hippo", "rhino", "nobody", "", "hippo"))
    else:
        name = rng.choice(tuple(_SPECS))
        kind = {"group": "pgwarden.io", "version": "v1alpha1", "kind": name}
        metadata = {"name": "one", "namespace": shapes.NAMESPACE}
        obj = {
            "apiVersion": "pgwarden.io/v1alpha1",
            "kind": name,
            "metadata": metadata,
            "spec": copy.deepcopy(_SPECS[name]),
        }
    old = json.loads(json.dumps(obj)) if rng.random() < 0.3 else None
    request = {
        "uid": f"u-{rng.random()}",
        "kind": kind,
        "namespace": shapes.NAMESPACE,
        "operation": rng.choice(_OPERATIONS),
    }
    request |= {"object": obj, "oldObject": old, "userInfo": {"username": "u"}, "dryRun": rng.random() < 0.1}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _bent(rng: random.Random) -> bytes:
    """Sound JSON with other things in some places: mostly deep in the object, now and then in the review itself."""
    review = _review(rng)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8))):
        _bend(
            rng,
            review if rng.random() < 0.15 else review["request"] if rng.random() < 0.2 else review["request"]["object"],
        )
        if not isinstance(review.get("request"), dict) or "object" not in review["request"]:
            break
    return json.dumps(review, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")


def _bend(rng: random.Random, value: Any) -> None:
    """Walk down some way, and put something else there, or take something away."""
    for _ in range(rng.randrange(9)):
        inner = [
            each
            for each in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if each and isinstance(each, dict | list)
        ]
        if not inner:
            break
        value = rng.choice(inner)
    if isinstance(value, dict):
        key = rng.choice([*value, rng.choice(_STRINGS)])
        value.pop(key, None)
        if rng.random() < 0.75:
            value[key] = _anything(rng)
    elif isinstance(value, list):
        value[rng.randrange(len(value) + 1) :] = [_anything(rng)] * rng.choice((0, 1, 1, 3))


def _anything(rng: random.Random) -> Any:
    chance = rng.random()
    if chance < 0.55:
        return rng.choice(_STRINGS)
    if chance < 0.85:
        return copy.deepcopy(rng.choice(_LEAVES))
    if chance < 0.95:
        return copy.deepcopy(
            rng.choice((_SPECS["Repository"], json.loads(_PODS[0])["spec"], [rng.choice(_KINDS)] * 50))
        )
    return {rng.choice(_STRINGS): rng.choice(_STRINGS) for _ in range(5)}


def _torn(rng: random.Random) -> bytes:
    """Bytes of a sound review, cut, doubled, overwritten."""
    text = bytearray(json.dumps(_review(rng)).encode())
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, length = rng.randrange(len(text) + 1), rng.randrange(1, 40)
        match rng.randrange(5):
            case 0:
                text[at:] = b""
            case 1:
                text[at:at] = text[at : at + length]
            case 2:
                text[at : at + length] = rng.randbytes(length)
            case 3:
                text[at : at + length] = b""
            case _:
                text[at:at] = rng.choice(
                    (b"\\", b'"', b"{", b"]", b",", b"\xff", b"\x00", b"1e999", b"-0", b'"\\ud800"')
                )
    return bytes(text)


def _deep(rng: random.Random) -> bytes:
    """Nesting where it is looked at, and where it is not."""
    depth = rng.choice((10, 100, 900, 1100, 5_000, 50_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    tower = opening * depth + b"1" + (closing * depth if rng.random() < 0.8 else b"")
    review = json.dumps(_review(rng)).encode()
    place = rng.choice((b'"spec": {', b'"metadata": {', b'"request": {', b'"object": {'))
    return review.replace(place, place + b'"x": ' + tower + b", ", 1)


def _scrap(rng: random.Random) -> bytes:
    """No review at all."""
    whole = _review(rng)
    scraps = (b"", b"null", b"[]", b"0", b'"x"', b"\xef\xbb\xbf{}", rng.randbytes(rng.randrange(200)), b" " * 10_000)
    versions = (whole | {"apiVersion": "admission.k8s.io/v1beta1"}, whole | {"kind": "Pod"}, whole | {"request": None})
    return rng.choice((*scraps, *(json.dumps(each).encode() for each in versions)))


def _huge(rng: random.Random) -> bytes:
    """A pod of 10 MB: one long word, or very many of something. And one that is larger than any may be."""
    pod = json.loads(rng.choice(_PODS))
    container = pod["spec"]["containers"][0]
    match rng.randrange(5):
        case 0:
            container["args"] = ["-c", "x=" + "y" * HUGE]
        case 1:
            container["env"] = [{"name": f"V{n}", "value": f"$(V{n - 1})" * 3} for n in range(HUGE // 40)]
        case 2:
            container["volumeMounts"] += [{"name": f"v{n}", "mountPath": f"/m/{n}"} for n in range(HUGE // 40)]
        case 3:
            pod["metadata"]["annotations"] = {f"a{n}": "x" * 80 for n in range(HUGE // 100)}
        case _:
            container["args"] = ["z" * (HUGE + 3_000_000)]
    return shapes.review(pod)
