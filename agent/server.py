"""The agent's TLS door: TLS 1.3, a client certificate of the Repository's CA, and only the controller's name on it."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from agent import log
from agent.calls import Repository, State
from agent.paths import Paths
from pgwarden.api import names, outside
from pgwarden.api.target import TargetError, whole_second
from pgwarden.contract import calls
from pgwarden.contract.calls import Fenced, Outcome, Segments
from pgwarden.contract.roles import Roles
from pgwarden.contract.shape import Shape
from pgwarden.contract.status import Status, tag
from pgwarden.pgbackrest import wal

if TYPE_CHECKING:
    from agent.missed_wal import MissedWal
    from agent.postgres import Postgres
    from agent.relay import Relay

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Longer than the controller's time between two looks, which would make each a handshake. A connection outlives the
#: certificates it was made with by no more: whoever has new ones makes a new one.
KEEPALIVE_SECONDS = 200.0
#: Bytes of an answer after which its connection is not used again.
LARGE = 8192
#: A fence may be waited for so long.
LONGEST_SECONDS = 3600.0
_FULL = re.compile(r"[0-9]{8}-[0-9]{6}F")
#: 1 MiB to 1 GiB.
_SEGMENT_SIZES = frozenset(2**power for power in range(20, 31))


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """The one common name of SSLSocket.getpeercert()'s answer; empty where there is none or more than one."""
    subject = (certificate or {}).get("subject", ())
    found = [value for part in subject for name, value in part if name == "commonName"]
    return found[0] if len(found) == 1 else ""


@web.middleware
async def controller_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    peer = request.get_extra_info("peercert")
    if common_name(peer) != names.CN_CONTROLLER:
        raise web.HTTPForbidden(text=f"only {names.CN_CONTROLLER} may call\n")
    return await handler(request)


class Certificates:
    """A context whose certificate, key and CA can be replaced while its listener stands."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._current = self._load()
        self.listening = self._load()
        # Called for each handshake, with or without a server name. The new context brings its own CA, too.
        self.listening.sni_callback = self._choose

    def reload(self) -> None:
        self._current = self._load()

    def _choose(self, handshake: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = self._current

    def _load(self) -> ssl.SSLContext:
        conf = self._paths.conf
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0  # no session outlives its certificate
        context.load_verify_locations(conf / names.KEY_CA_CERT)
        context.load_cert_chain(conf / names.KEY_TLS_CERT, conf / names.KEY_TLS_KEY)
        return context


def application(
    state: State,
    *,
    repository: Repository | None = None,
    postgres: Postgres | None = None,
    relay: Relay | None = None,
    missed: MissedWal | None = None,
) -> web.Application:
    app = web.Application(middlewares=[controller_only], client_max_size=65536)

    async def status(request: web.Request) -> web.Response:
        found = state.status()
        if repository:
            repository.archives.segment_size = _segment_size(request)
            known = await repository.info(refresh=request.query.get("refresh") == "1")
            archives, volume = repository.archives.told(), await repository.volume()
            age = None if math.isinf(known.age) else int(known.age)
            found = replace(found, info=known.info, info_error=known.error, info_age=age)
            found = replace(found, archives=archives, volume=volume, immutable=repository.immutables.told())
        if postgres:
            seen = await postgres.look()
            relays = relay is not None and relay.works
            found = replace(
                found, postgres=seen.postgres, archiver=seen.archiver, unarchived=seen.unarchived, relays=relays,
                facts=seen.facts, data=seen.data, wal=seen.wal, place=seen.place,
            )  # fmt: skip
        return _unless_known(request, found)

    app.router.add_get(f"/{calls.STATUS}", status)
    if repository:
        _repository_calls(app, repository)
    if postgres:
        _postgres_calls(app, postgres, relay, missed)
    return app


def _repository_calls(app: web.Application, repository: Repository) -> None:
    async def stanza_create(request: web.Request) -> web.Response:
        return _json(await repository.stanza_create(_repo(request)))

    async def set_aside(_request: web.Request) -> web.Response:
        return _json(await repository.set_aside())

    async def stanza_upgrade(_request: web.Request) -> web.Response:
        return _json(await repository.stanza_upgrade())

    async def newest_wal(_request: web.Request) -> web.Response:
        return _json(await repository.newest_wal())

    async def info_as_of(request: web.Request) -> web.Response:
        time = request.query.get("time", "")
        try:
            whole_second(time)
        except TargetError as error:
            raise web.HTTPBadRequest(text=f"time {error}\n") from None
        if not _repo(request):
            raise web.HTTPBadRequest(text="repo must be the number of one storage\n")
        return _json(await repository.past.get(_repo(request), time))

    async def expire(request: web.Request) -> web.Response:
        label, kept = request.query.get("set", ""), request.query.get("archives-of", "")
        if not (_FULL.fullmatch(label) and _repo(request) and kept.isascii() and kept.isdigit() and len(kept) < 8):
            raise web.HTTPBadRequest(text="repo, set and archives-of must be those of a full backup\n")
        return _json(await repository.expire(_repo(request), label, int(kept)))

    app.router.add_post(f"/{calls.STANZA_CREATE}", stanza_create)
    app.router.add_post(f"/{calls.SET_ASIDE}", set_aside)
    app.router.add_post(f"/{calls.STANZA_UPGRADE}", stanza_upgrade)
    app.router.add_post(f"/{calls.NEWEST_WAL}", newest_wal)
    app.router.add_post(f"/{calls.EXPIRE}", expire)
    app.router.add_post(f"/{calls.INFO_AS_OF}", info_as_of)


def _postgres_calls(app: web.Application, postgres: Postgres, relay: Relay | None, missed: MissedWal | None) -> None:
    from agent import fence  # psycopg is ten megabytes that the repository host has no use for
    from agent.sql import PostgresError

    closer = fence.Closer(postgres)

    async def close_fence(request: web.Request) -> web.Response:
        seconds = _seconds(request, "timeout", "60")
        if "every" in request.query:
            return _json(await closer.close(seconds, _seconds(request, "every")))
        repo = _repo(request)
        relayed = partial(relay.holds, repo) if relay and repo else None
        lacks = await missed.lacks(repo, seconds) if missed else ""
        answer = Fenced(error=lacks) if lacks else await fence.fence(postgres, seconds, relayed)
        if relay and answer.unreached:
            pushed = await relay.push_last(repo, seconds)
            answer = replace(answer, last=pushed.segment or None, error=pushed.error or answer.error)
        return _json(answer)

    async def checkpoint(_request: web.Request) -> web.Response:
        try:
            return _json(await postgres.checkpoint())
        except PostgresError as error:
            return _json(Outcome(error=str(error)))

    async def archive_timeout(request: web.Request) -> web.Response:
        raw = request.query.get("seconds", "")
        if not (raw.isascii() and raw.isdigit() and len(raw) < 6):
            raise web.HTTPBadRequest(text=f"seconds must be a number of seconds, not {raw!r}\n")
        return _json(await postgres.archive_timeout(int(raw)))

    async def roles(request: web.Request) -> web.Response:
        wanted = outside.decode(await request.read(), Roles)
        if wanted is None:
            raise web.HTTPBadRequest(text="the body must be the roles to keep\n")
        return _json(await postgres.keep_roles(wanted))

    async def bring_back(request: web.Request) -> web.Response:
        wanted = outside.decode(await request.read(), Segments)
        if wanted is None:
            raise web.HTTPBadRequest(text="the body must be the segments to archive\n")
        return _json(await missed.bring_back(wanted.segments) if missed else Outcome())

    app.router.add_post(f"/{calls.ROLES}", roles)
    app.router.add_post(f"/{calls.BRING_BACK}", bring_back)
    app.router.add_post(f"/{calls.ARCHIVE_TIMEOUT}", archive_timeout)
    app.router.add_post(f"/{calls.FENCE}", close_fence)
    app.router.add_post(f"/{calls.CHECKPOINT}", checkpoint)


def _seconds(request: web.Request, name: str, default: str = "") -> float:
    raw = request.query.get(name, default)
    try:
        seconds = float(raw)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise web.HTTPBadRequest(text=f"{name} must be a number of seconds up to {LONGEST_SECONDS:g}, not {raw!r}\n")
    return seconds


def _segment_size(request: web.Request) -> int:
    """Bytes: a power of two, as PostgreSQL has them; 16 MiB where nobody says."""
    raw = request.query.get("segment-size", "")
    size = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 12 else 0
    return size if size in _SEGMENT_SIZES else wal.SEGMENT_SIZE


def _repo(request: web.Request) -> int:
    """pgBackRest's number of the storage that is meant; 0: all of them."""
    raw = request.query.get("repo", "0")
    if not (raw.isascii() and raw.isdigit() and len(raw) < 4):
        raise web.HTTPBadRequest(text=f"repo must be the number of a storage, not {raw!r}\n")
    return int(raw)


def _unless_known(request: web.Request, found: Status) -> web.Response:
    """Whoever looks twice a minute, at very many, seldom has to read an answer."""
    known = [one.value for one in request.if_none_match or ()]
    return web.Response(status=304) if known and tag(found) in known else _json(found)


def _json(answer: Shape) -> web.Response:
    """A large one is its connection's last: buffers of TLS keep the size of the largest answer, and the controller has
    a connection to each of very many agents.
    """
    body = msgspec.json.encode(answer)
    response = web.Response(body=body, content_type="application/json")
    if len(body) > LARGE:
        response.force_close()
    return response


class Server:
    """Opened once there are certificates."""

    def __init__(self, paths: Paths, app: web.Application, port: int = names.PORT_AGENT) -> None:
        self._paths = paths
        self._port = port
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=2.0)
        self._certificates: Certificates | None = None
        self._log = log.get("server")

    async def reload(self) -> None:
        if self._certificates is not None:
            self._certificates.reload()
            return
        certificates = Certificates(self._paths)
        if self._runner.server is None:
            await self._runner.setup()
        site = web.TCPSite(self._runner, port=self._port, ssl_context=certificates.listening, backlog=32)
        await site.start()
        self._certificates = certificates
        self._log.info("listening", port=self._port)

    async def close(self) -> None:
        await self._runner.cleanup()
