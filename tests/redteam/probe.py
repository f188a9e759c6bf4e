"""Runs in the attacker's pod, by `python3 - JOB < probe.py`: one connection, and what came back of it, as JSON.

JOB: host, port; `tls`, `cert` and `key` (PEM); `send`, whose `{}` stands for `size` bytes; `most`: how much is read.
"""

import json
import socket
import ssl
import sys
import tempfile


def file(text):
    with tempfile.NamedTemporaryFile("w", delete=False) as made:
        made.write(text)
    return made.name


def context(job):
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    if job.get("cert"):
        found.load_cert_chain(file(job["cert"]), file(job["key"]))
    return found


def answer(job):
    with socket.create_connection((job["host"], job["port"]), timeout=15) as plain:
        peer = context(job).wrap_socket(plain) if job.get("tls") else plain
        text = job.get("send", "").encode()
        peer.sendall(text.replace(b"{}", b"x" * job.get("size", 0)))
        found = b""
        while len(found) < job.get("most", 65536) and (more := peer.recv(65536)):
            found += more
        return found.decode("utf-8", "replace")


def main():
    job = json.loads(sys.argv[1])
    try:
        found = {"got": answer(job), "error": ""}
    except OSError as error:
        found = {"got": "", "error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(found))


main()
