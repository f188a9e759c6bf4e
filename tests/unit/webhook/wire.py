"""Reviews as bytes on a connection: sound ones, and heads that are in some way odd."""

from __future__ import annotations

import json


def body(number):
    request = {"uid": f"u{number}", "operation": "CREATE"}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def question(number=1, head="", content=None, line="POST /check?timeout=5s HTTP/1.1"):
    content = body(number) if content is None else content
    return f"{line}\r\nHost: x\r\n{head}Content-Length: {len(content)}\r\nAccept: */*\r\n\r\n".encode() + content


ODD_HEADS = {
    "chunked": b"POST /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(body(1)):x}".encode() + b"\r\n" + body(1) + b"\r\n0\r\n\r\n",
    "both lengths": b"POST /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a length that is none": b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "a folded header": b"POST /check HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "last one": question(1, head="Connection: close\r\n"),
    "old HTTP": question(1, line="POST /check HTTP/1.0"),
    "another method": question(1, line="PUT /check HTTP/1.1"),
    "another path": question(1, line="POST /nowhere HTTP/1.1"),
    "upgrade": question(1, head="Connection: upgrade\r\nUpgrade: websocket\r\n"),
    "two at once": question(1) + question(2),
    "one and a half": question(1) + question(2)[:50],
    "noise": b"\x16\x03\x01" * 20,
}  # fmt: skip
