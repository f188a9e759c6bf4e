"""Runs in a pod, by `python3 - JOB < liar.py`: takes a port as soon as it is free, and lies to whoever asks there by TLS.

JOB: port, `cert` and `key` (PEM), and `home`, a folder whose file `lie` names the lie that is told (empty: none), `asked`
counts the requests, and `elsewhere` is where a redirection leads. It goes on by itself.
"""

import json
import os
import pathlib
import socket
import ssl
import sys
import threading
import time

KIB64 = b"x" * 65536
CHUNK = b"10000\r\n" + KIB64 + b"\r\n"
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = (OK + "Transfer-Encoding: chunked\r\n\r\n").encode()
STEERING = "\x1b[2J\x1b]0;owned\x07\u202e\r\n\x00all is well"
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"


def whole(body, status="200 OK"):
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body


def answer(**fields):
    return whole(json.dumps({"role": "repository", "version": "0"} | fields).encode())


def endless(begin, piece, pause=0.0):
    yield begin
    while True:
        yield piece
        time.sleep(pause)


def once(*pieces):
    yield from pieces


def elsewhere(home):
    to = (home / "elsewhere").read_text()
    yield f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def sets(count):
    one = {"label": STEERING * 100, "type": "x" * 1000, "timestamp": {"start": 1, "stop": 2}, "database": {"id": 1, "repo-key": 1},
           "info": {"size": 2**70, "delta": 1, "repository": {"delta": -1}}}  # fmt: skip
    repo = {"cipher": "none", "key": 1, "status": {"code": 0, "message": "ok"}}
    return {"name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": [one] * count, "repo": [repo]}


#: Of an agent, and of a store.
LIES = {
    "endless": lambda _: endless(CHUNKED, CHUNK),
    "gigabytes": lambda _: endless((OK + "Content-Length: 8589934592\r\n\r\n").encode(), KIB64),
    "headers": lambda _: endless(OK.encode(), b"X-More: yes\r\n" * 1000),
    "one header": lambda _: endless(OK.encode() + b"X-More: ", KIB64),
    "trickle": lambda _: endless(CHUNKED, b"1\r\nx\r\n", 1.0),
    "nested": lambda _: once(whole(b"[" * 1_000_000)),
    "values": lambda _: once(whole(b'{"info":{"a":[' + b'{"":0},' * 1_000_000 + b"0]}}")),
    "small values": lambda _: once(whole(b'{"info":{"a":[' + b'{"":0},' * 30_000 + b"0]}}")),
    "types": lambda _: once(answer(info=[1], postgres="yes", archiver=[[]], volume=-1)),
    "nothing": lambda _: once(whole(b"")),
    "elsewhere": elsewhere,
    "steering": lambda _: once(answer(infoError=STEERING, postgres={"reachable": False, "error": STEERING})),
    # Of a pod no more than 256 KiB are read.
    "long": lambda _: once(answer(infoError=" " * 100_000 + "so it ends", postgres={"error": "y " * 50_000})),
    "signed": lambda _: once(answer(infoError="<StringToSign>" * 9_000, postgres={"error": "<StringToSign>" * 9_000})),
    "sets": lambda _: once(answer(info=sets(500))),
    # Of a store alone.
    "xml": lambda _: once(whole(b"<?xml version='1.0'?>" + b"<a>" * 300_000)),
    "entities": lambda _: once(whole(
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "' + b"a" * 60_000 + b'"><!ENTITY b "' + b"&a;" * 5_000
        + b'">]><ListBucketResult>' + b"&b;" * 500 + b"</ListBucketResult>"
    )),
    "refusal": lambda _: once(whole(ERROR.format(STEERING, "<StringToSign>" * 100_000).encode(), "403 Forbidden")),
    "large refusal": lambda _: endless(
        (OK.replace("200 OK", "400 Bad Request") + "Transfer-Encoding: chunked\r\n\r\n").encode(), CHUNK
    ),
}  # fmt: skip


def tell(peer, home):
    try:
        peer.settimeout(60)
        asked = b""
        while b"\r\n\r\n" not in asked and (more := peer.recv(65536)):
            asked += more
        if not asked:
            return
        with (home / "asked").open("a") as count:
            count.write(".")
        lie = (home / "lie").read_text()
        if lie == "never":
            time.sleep(300)
        for piece in LIES[lie](home) if lie in LIES else ():
            peer.sendall(piece)
    except (OSError, ValueError):
        pass
    finally:
        peer.close()


def listener(port):
    while True:
        try:
            return socket.create_server(("", port), backlog=64)
        except OSError:
            time.sleep(0.002)


def serve(port, context, home):
    with listener(port) as server:
        (home / "listens").touch()
        while True:
            plain, _ = server.accept()
            threading.Thread(target=shake, args=(plain, context, home), daemon=True).start()


def shake(plain, context, home):
    try:
        plain.settimeout(20)
        peer = context.wrap_socket(plain, server_side=True)
    except OSError:
        plain.close()  # a probe, that only connects
        return
    tell(peer, home)


def main():
    job = json.loads(sys.argv[1])
    home = pathlib.Path(job["home"])
    home.mkdir(exist_ok=True)
    for name in ("cert", "key"):
        (home / name).write_text(job[name])
    for name in ("lie", "asked", "elsewhere"):
        (home / name).write_text("")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "cert", home / "key")
    if os.fork():
        return
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(quiet, number)
    serve(job["port"], context, home)


main()
