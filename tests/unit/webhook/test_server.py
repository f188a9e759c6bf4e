"""The whole webhook over real TLS and a fake API server: readiness, hot reload, look-ups, hostile clients, drain."""

import asyncio
import base64
import contextlib
import io
import json
import os
import signal
import ssl

import aiohttp
import msgspec
import pytest

from harness.waiting import SLOWER
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from tests.unit.webhook.fake_api import FakeApi
from webhook import main, review
from webhook.serving import SERVERS

SECRET = "/api/v1/namespaces/pgwarden-system/secrets/pgwarden-webhook-tls"
HIPPO = "/apis/pgwarden.io/v1alpha1/namespaces/zoo/repositories/hippo"


class Verdict:
    faults = ()
    warnings = ("noted",)


@pytest.fixture
async def api(aiohttp_server):
    api = FakeApi()
    api.unsynced.set()
    server = await aiohttp_server(api.app())
    api.url = str(server.make_url("")).rstrip("/")
    return api


async def until(condition):
    """Wait for what the real client and server bring about in their own time."""
    async with asyncio.timeout(5 * SLOWER):
        while not await condition():  # noqa: ASYNC110  there is no event to wait for, across the wire
            await asyncio.sleep(0.01)


class Running:
    """The webhook, started; `post` and `probe` talk to it."""

    def __init__(self, parts, ca):
        self.parts = parts
        (_, self.http), (_, self.port) = parts.server.addresses
        self.tls = ssl.create_default_context(cadata=ca)

    async def post(self, path, body, **options):
        async with aiohttp.ClientSession() as session:
            url = f"https://localhost:{self.port}{path}"
            async with session.post(url, data=body, ssl=self.tls, **options) as answer:
                return answer.status, await answer.read(), answer.headers

    async def probe(self, path="/readyz"):
        async with aiohttp.ClientSession() as session, session.get(f"http://localhost:{self.http}{path}") as answer:
            return answer.status, await answer.text()

    async def ready(self):
        async def is_ready():
            return (await self.probe())[0] == 200

        await until(is_ready)


@pytest.fixture(params=SERVERS)  # all that follows holds for both servers of reviews
def options(request):
    return main.Options(server=request.param)


@pytest.fixture
async def start(api, settings, options, pair):
    """Start a webhook against the fake API server; its certificate is not there until it is put."""
    data = pair("first")
    async with contextlib.AsyncExitStack() as stack:

        async def go(judge=lambda _: lambda *_: Verdict()):
            client = await stack.enter_async_context(KubeClient(Access(api.url, None)))
            parts = main.assemble(client, settings, options, judge)
            await parts.server.start(parts.certificates.context, 0, 0, host="localhost")
            tasks = [asyncio.create_task(each) for each in (parts.store.run(), parts.certificates.cache.run())]
            stack.push_async_callback(parts.server.stop)
            stack.push_async_callback(_cancel, tasks)
            running = Running(parts, data["ca.crt"])
            running.pair = data
            return running

        yield go


async def _cancel(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def running(start, api, secret):
    webhook = await start()
    await api.put(SECRET, secret(webhook.pair))
    await webhook.ready()
    return webhook


async def test_what_is_not_there_is_said_in_plain_text(running):
    assert await running.probe("/") == (404, "there are /livez, /readyz and /metrics\n")
    async with aiohttp.ClientSession() as session:
        url = f"http://localhost:{running.http}/livez"
        async with session.post(url) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        async with session.head(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_ready_only_with_certificate_and_caches(start, api, secret):
    """Alive from the start; ready when a review could be answered."""
    api.unsynced.clear()
    webhook = await start()
    assert await webhook.probe("/livez") == (200, "ok\n")
    assert await webhook.probe() == (503, "not ready: certificate, caches\n")
    api.unsynced.set()

    async def synced():
        return "caches" not in (await webhook.probe())[1]

    await until(synced)
    assert await webhook.probe() == (503, "not ready: certificate\n")
    await api.put(SECRET, secret(webhook.pair))
    await webhook.ready()


async def test_injects_over_tls_1_3(running, api, repository, pod, review_of):
    """A pod in, a patch out; anything older than TLS 1.3 is turned away."""
    await api.put(HIPPO, repository())
    status, body, _ = await running.post("/mutate", review_of(pod()))
    assert status == 200
    assert json.loads(body)["response"]["patch"]
    running.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(aiohttp.ClientConnectorError):
        await running.post("/mutate", review_of(pod()))


async def test_certificate_is_reloaded_without_a_restart(running, api, secret, pair):
    """New handshakes get the new one; a broken Secret and a deleted one change nothing."""
    body = b"{}"
    assert (await running.post("/check", body))[0] == 400
    renewed = pair("second")
    await api.put(SECRET, secret(renewed))
    old, running.tls = running.tls, ssl.create_default_context(cadata=renewed["ca.crt"])

    async def reloaded():
        with contextlib.suppress(aiohttp.ClientConnectorError):
            return (await running.post("/check", body))[0] == 400

    await until(reloaded)
    mixed = renewed | {"tls.key": pair("third")["tls.key"]}
    for broken in (secret(mixed), secret({"tls.crt": "x", "tls.key": "y"}), secret({})):
        await api.put(SECRET, broken)
    await api.drop(SECRET)
    await asyncio.sleep(0.1)
    assert (await running.post("/check", body))[0] == 400
    running.tls = old
    with pytest.raises(aiohttp.ClientConnectorError):
        await running.post("/check", body)


async def test_repository_of_the_same_apply_is_found(running, api, repository, pod, review_of):
    """The watch has not shown it yet: one question, which all that wait share; then it is remembered."""
    api.hidden.add(HIPPO)
    await api.put(HIPPO, repository())
    api.slow = 0.05
    answers = await asyncio.gather(*(running.post("/mutate", review_of(pod())) for _ in range(5)))
    assert all(json.loads(body)["response"].get("patch") for _, body, _ in answers)
    await running.post("/mutate", review_of(pod()))
    assert api.gets == [HIPPO]


async def test_repository_costs_no_question(running, api, repository, pod, review_of):
    """Once the watch has it, the API server is not asked."""
    await api.put(HIPPO, repository())

    async def seen():
        return running.parts.store.repository("zoo", "hippo") is not None

    await until(seen)
    await running.post("/mutate", review_of(pod()))
    assert api.gets == []


async def test_absent_repository_is_refused(running, api, pod, review_of):
    """Asked once, answered 404: refused, and the sentence says so."""
    _, body, _ = await running.post("/mutate", review_of(pod()))
    response = json.loads(body)["response"]
    assert not response["allowed"]
    assert "there is no Repository" in response["status"]["message"]
    assert api.gets == [HIPPO]


async def test_silent_api_server_is_an_error_not_a_refusal(running, api, repository, pod, review_of):
    """Nobody can say that the Repository is not there: failurePolicy decides, and the pod is tried again."""
    api.hidden.add(HIPPO)
    await api.put(HIPPO, repository())
    api.slow = 1.5
    status, _, _ = await running.post("/mutate", review_of(pod()))
    assert status == 500


@pytest.mark.parametrize("path", ["/check", "/validate"])
async def test_kinds_are_checked_on_both_paths(path, running, review_of):
    """The mutating one tells all faults before the schema tells one; the validating one has the last word."""
    _, body, _ = await running.post(path, review_of({"kind": "Backup", "spec": {"repository": "hippo"}}))
    assert json.loads(body)["response"]["warnings"] == ["noted"]


async def test_rules_answer_out_of_the_cache(start, api, secret, settings, repository, review_of):
    """The real rules, over the real look-up: what is there is found, what is not is named."""
    webhook = await start(lambda store: main.rules(store, settings))
    await api.put(SECRET, secret(webhook.pair))
    await api.put(HIPPO, repository(storageType="local"))
    await webhook.ready()

    async def ask(**spec):
        obj = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Backup", "metadata": {"name": "b"}, "spec": spec}
        _, body, _ = await webhook.post("/check", review_of(obj))
        return json.loads(body)["response"]

    assert (await ask(repository="hippo", type="full"))["allowed"]
    refused = await ask(repository="hipo", type="half")
    assert "there is no Repository hipo in namespace zoo; did you mean hippo?" in refused["status"]["message"]
    assert refused["status"]["message"].startswith("2 faults: ")


async def test_objects_are_found_by_their_repository(running, api):
    """Also after they changed their mind, and not after they went."""
    path = "/apis/pgwarden.io/v1alpha1/namespaces/zoo/backups/b"
    store = running.parts.store

    def names_of(repository):
        return [obj["metadata"]["name"] for obj in store.backups("zoo", repository)]

    def backup(repository):
        return {"metadata": {"name": "b", "namespace": "zoo"}, "spec": {"repository": repository}}

    for place in (
        lambda: api.put(path, backup("hippo")),
        lambda: api.put(path, backup("rhino")),
        lambda: api.drop(path),
    ):
        before = (names_of("hippo"), names_of("rhino"))
        await place()

        async def moved(before=before):
            return (names_of("hippo"), names_of("rhino")) != before

        await until(moved)
        after = (names_of("hippo"), names_of("rhino"))
        assert after != before
        assert sum(map(len, after)) <= 1
    assert after == ([], [])


async def test_hostile_clients_get_an_answer(running):
    """No body, a huge one (announced or not), another path, another method."""

    async def endless():
        for _ in range(14):
            yield b" " * 1024 * 1024

    assert (await running.post("/mutate", b""))[0] == 400
    assert (await running.post("/mutate", b"\xff" * 100))[0] == 400
    assert (await running.post("/mutate", io.BytesIO(b" " * (review.MAX_BODY + 1))))[0] == 413
    assert (await running.post("/mutate", endless()))[0] == 413
    assert (await running.post("/elsewhere", b"{}"))[0] == 404
    url = f"https://localhost:{running.port}/mutate"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=running.tls) as answer:
        assert answer.status == 405
    assert (await running.probe())[0] == 200


async def test_plain_text_on_the_tls_port_is_turned_away(running):
    """And the server lives on."""
    reader, writer = await asyncio.open_connection("localhost", running.port)
    writer.write(b"POST /mutate HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert b"200" not in await reader.read()
    writer.close()
    assert (await running.probe())[0] == 200


async def test_metrics_count_outcomes_and_rules(running, pod, review_of):
    """What the dashboards and alerts read."""
    await running.post("/mutate", review_of(pod()))
    _, text = await running.probe("/metrics")
    assert 'pgwarden_webhook_requests_total{outcome="refused",path="/mutate"}' in text
    assert 'pgwarden_webhook_refusals_total{rule="no-repository"}' in text
    assert 'pgwarden_webhook_request_seconds_bucket{le="0.005",path="/mutate"}' in text


async def test_draining_serves_on_and_gives_connections_back(running, pod, review_of):
    """Not ready any more, and every answer ends its connection."""
    running.parts.server.drain()
    assert await running.probe() == (503, "not ready: draining\n")
    status, _, headers = await running.post("/mutate", review_of(pod()))
    assert (status, headers["Connection"]) == (200, "close")


class Process:
    """The webhook as `main.serve` runs it, to be ended by SIGTERM."""

    def __init__(self, serving, options, ca):
        self.serving, self.port, self._http = serving, options.port, options.http_port
        self.tls = ssl.create_default_context(cadata=ca)

    async def status(self):
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://localhost:{self._http}/readyz") as answer,
            ):
                return answer.status

    async def has(self, status):
        async def is_so():
            return await self.status() == status

        await until(is_so)


@pytest.fixture
async def process(api, settings, options, secret, pair, monkeypatch, unused_tcp_port_factory):
    data = pair("x")
    await api.put(SECRET, secret(data))
    monkeypatch.setattr(main, "rules", lambda *_: lambda *_: Verdict())

    async def client():
        return KubeClient(Access(api.url, None))

    monkeypatch.setattr(KubeClient, "from_environment", client)
    ports = {"port": unused_tcp_port_factory(), "http_port": unused_tcp_port_factory()}
    given = msgspec.structs.replace(options, drain_seconds=0.3, **ports)
    serving = asyncio.create_task(main.serve(settings, given))
    process = Process(serving, given, data["ca.crt"])
    await process.has(200)
    yield process
    await _cancel([serving])


async def test_sigterm_drains_then_ends(process):
    """The process serves on while endpoints forget it, and then ends by itself."""
    os.kill(os.getpid(), signal.SIGTERM)
    await process.has(503)
    await asyncio.wait_for(process.serving, 5 * SLOWER)


async def test_a_review_in_flight_at_sigterm_is_answered(process, api, repository, pod, review_of):
    """The watch has not shown its Repository yet, and the API server takes longer than the drain."""
    api.hidden.add(HIPPO)
    await api.put(HIPPO, repository())
    api.slow = 0.6
    url = f"https://localhost:{process.port}/mutate"

    async def post():
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=review_of(pod()), ssl=process.tls) as answer,
        ):
            return answer.status, await answer.json(), answer.headers["Connection"]

    asking = asyncio.create_task(post())

    async def asked():
        return bool(api.gets)

    await until(asked)
    os.kill(os.getpid(), signal.SIGTERM)
    status, answer, connection = await asyncio.wait_for(asking, 5 * SLOWER)
    assert (status, connection) == (200, "close")
    assert answer["response"]["patch"]
    await asyncio.wait_for(process.serving, 5 * SLOWER)


async def test_a_limit_range_counts_as_soon_as_it_is_there_and_no_longer(running, api, repository, pod, review_of):
    """Answers are remembered; another LimitRange is another question."""
    where = "/api/v1/namespaces/zoo/limitranges/small"

    async def limit():
        _, body, _ = await running.post("/mutate", review_of(pod()))
        patch = json.loads(base64.b64decode(json.loads(body)["response"]["patch"]))
        return patch[0]["value"][0]["resources"]["limits"]["memory"]

    async def becomes(wanted):
        return await limit() == wanted

    await api.put(HIPPO, repository())
    assert await limit() == "256Mi"
    spec = {"limits": [{"type": "Container", "max": {"memory": "128Mi"}}]}
    await api.put(where, {"metadata": {"namespace": "zoo", "name": "small"}, "spec": spec})
    await until(lambda: becomes("128Mi"))
    await api.drop(where)
    await until(lambda: becomes("256Mi"))


QUOTA = "/api/v1/namespaces/zoo/resourcequotas/small"
LIMITED = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}


def quota(used="0"):
    amounts = {"hard": {"limits.cpu": "2100m"}, "used": {"limits.cpu": used}}
    return {"metadata": {"namespace": "zoo", "name": "small"}, "spec": {"hard": amounts["hard"]}, "status": amounts}


@pytest.fixture
def cpu(running, pod, review_of):
    """The CPU limit of the sidecar of a pod that has one of its own."""

    async def ask():
        _, body, _ = await running.post("/mutate", review_of(pod(resources=LIMITED)))
        patch = json.loads(base64.b64decode(json.loads(body)["response"]["patch"]))
        return patch[0]["value"][0]["resources"]["limits"]["cpu"]

    return ask


async def test_what_a_quota_has_left_counts_as_soon_as_it_is_known(cpu, api, repository):
    async def is_less():
        return await cpu() == "100m"

    async def is_usual():
        return await cpu() == "1"

    await api.put(HIPPO, repository())
    assert await is_usual()
    await api.put(QUOTA, quota(used="1"))
    await until(is_less)
    await api.put(QUOTA, quota())
    await until(is_usual)
    await api.put(QUOTA, quota(used="1"))
    await until(is_less)
    await api.drop(QUOTA)
    await until(is_usual)


async def test_a_pod_that_is_gone_and_still_counted_costs_the_sidecar_nothing(
    cpu, running, api, repository, monkeypatch
):
    """Who replaces a pod makes the new one before the quota has seen the old one go."""
    monkeypatch.setattr("webhook.handlers.SETTLES_SECONDS", 60)
    quotas = running.parts.store.quotas
    await api.put(HIPPO, repository())
    await api.put(QUOTA, quota(used="1"))
    counts, waits = quotas.of, quotas.changed
    waiting = asyncio.Event()

    async def known():
        return bool(counts("zoo"))

    async def changed(*asked):
        waiting.set()
        return await waits(*asked)

    await until(known)
    monkeypatch.setattr(quotas, "changed", changed)
    asking = asyncio.create_task(cpu())
    await asyncio.wait_for(waiting.wait(), 5 * SLOWER)
    await api.put(QUOTA, quota())
    assert await asyncio.wait_for(asking, 5 * SLOWER) == "1"
    assert quotas._waiting == {}


async def test_a_pod_that_is_small_as_a_whole_waits_for_no_quota(running, api, repository, pod, review_of, monkeypatch):
    monkeypatch.setattr("webhook.handlers.SETTLES_SECONDS", 60)
    await api.put(HIPPO, repository())
    await api.put(QUOTA, quota())
    made = pod(resources=LIMITED)
    made["spec"]["resources"] = {"limits": {"memory": "100Mi"}}
    _, body, _ = await asyncio.wait_for(running.post("/mutate", review_of(made)), 5 * SLOWER)
    assert "the pod's own spec.resources" in json.loads(body)["response"]["auditAnnotations"]["shrunk"]


async def test_no_more_pods_wait_for_a_quota_than_a_few(cpu, running, api, repository, monkeypatch):
    monkeypatch.setattr("webhook.handlers.SETTLES_SECONDS", 60)
    monkeypatch.setattr("webhook.handlers._MOST_SETTLING", 0)
    await api.put(HIPPO, repository())
    await api.put(QUOTA, quota(used="1"))

    async def is_less():
        return await cpu() == "100m"

    await until(is_less)


async def test_where_quotas_cannot_be_read_a_pod_is_injected_as_usual(start, api, secret, repository, pod, review_of):
    api.forbidden.add("resourcequotas")
    await api.put(QUOTA, quota(used="1"))
    await api.put(HIPPO, repository())
    webhook = await start()
    await api.put(SECRET, secret(webhook.pair))
    await webhook.ready()
    _, body, _ = await webhook.post("/mutate", review_of(pod(resources=LIMITED)))
    patch = json.loads(base64.b64decode(json.loads(body)["response"]["patch"]))
    assert patch[0]["value"][0]["resources"]["limits"]["cpu"] == "1"
