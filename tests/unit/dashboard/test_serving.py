"""The page over HTTP, and the API server behind it: what it is asked, what it may not be asked, and when it is away."""

from __future__ import annotations

import time
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from harness.waiting import SLOWER
from pgwarden.dashboard import guard, pages, reading
from tests.unit.dashboard.conftest import TOKEN
from tests.unit.dashboard.fleet import DAY, HOSTILE, NOW, drill, plain, repository, restore, schedule, thousand

PAGES = ("/", "/week", "/drills", "/repository/ns/hippo", "/repository/ns/hippo?at=2026-11-22T16:00:00Z")


NAMED = HOSTILE.translate({ord(sign): None for sign in "/{}"})  # an object's name is no path


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data):
        self.said += data


def world() -> list[dict]:
    return [repository(), schedule("nightly"), restore(), drill(), drill("bad", "Failed", message="it is not so")]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_shown_with_nothing_from_elsewhere(api, site, path):
    api.hold(*world())
    await site.reader.start()
    answer = await site.get(path)
    assert answer.status == 200
    assert answer.content_type == "text/html"
    for tag, attributes in Tags(await answer.text()).tags:
        for name in ("src", "href", "action"):
            link = attributes.get(name, "/")
            assert link.startswith((f"/{TOKEN}/", "#", "?")) or link == "/", (tag, link)
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static/page.js", "/static/nothing"])
async def test_every_answer_has_the_policy(api, site, path):
    api.hold(*world())
    await site.reader.start()
    answer = await site.get(path)
    assert {name: answer.headers[name] for name in guard.HEADERS} == guard.HEADERS
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert not any("unsafe" in value or "*" in value or "http" in value for value in policy.values())


def hostile() -> list[dict]:
    """Every text that comes from the cluster is HTML, a script's end, or a template. Names too: other versions of the
    API server may let more through.
    """
    bad = repository(NAMED, NAMED, phase=HOSTILE, lastDrills=[{"name": HOSTILE, "phase": "Failed", "endedAt": "x"}])
    status = bad["status"]
    status["conditions"] = [
        {"type": kind, "status": "False", "reason": HOSTILE, "message": HOSTILE}
        for kind in ("Ready", "Reachable", "Archiving", "Proven")
    ]
    status["pods"] = [{"name": HOSTILE, "role": HOSTILE, "message": HOSTILE}]
    status["objectives"] = [{"name": HOSTILE, "state": "Missed", "objective": HOSTILE, "message": HOSTILE}]
    for one in status["backups"]:
        one |= {"label": HOSTILE, "type": HOSTILE, "backup": HOSTILE}
    status["lastBackup"] = {"label": HOSTILE, "type": HOSTILE}
    status["recoveryWindow"][0]["missing"] = HOSTILE
    told = {"phase": HOSTILE, "message": HOSTILE, "startTime": "2026-11-22T12:00:00Z", "step": HOSTILE}
    checks = [{"name": HOSTILE, "outcome": HOSTILE, "message": HOSTILE}]
    spec = {"repository": NAMED}
    return [
        bad,
        plain("Restore", NAMED, namespace=NAMED, status=told, **spec),
        plain("RestoreDrill", NAMED, namespace=NAMED, status=told | {"checks": checks, "set": HOSTILE, "seconds": {HOSTILE: 1}, "recoveredTo": HOSTILE}, **spec),
        schedule(NAMED, NAMED, NAMED, type=HOSTILE),
        schedule("odd", NAMED, NAMED, schedule=HOSTILE, timeZone=HOSTILE),
        plain("PostgresCluster", NAMED, namespace=NAMED, status=told | {"primary": HOSTILE, "autofail": HOSTILE}),
        plain("Backup", NAMED, namespace=NAMED, status=told | {"phase": "Running"}, **spec),
    ]  # fmt: skip


async def test_nothing_from_an_object_is_ever_html(api, site):
    api.hold(*hostile())
    await site.reader.start()
    where = quote(NAMED, safe="")
    seen = ""
    for path in ("/", "/week", "/drills", f"/repository/{where}/{where}", f"/repository/{where}/{where}?at={where}"):
        answer = await site.get(path)
        assert answer.status == 200, await answer.text()
        text = await answer.text()
        found = Tags(text)
        seen += found.said
        scripts = [attributes for tag, attributes in found.tags if tag == "script"]
        assert scripts == [{"src": f"/{TOKEN}/static/page.js", "defer": ""}]
        assert not [tag for tag, _ in found.tags if tag in {"img", "iframe", "object", "base"}]
        assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
        assert HOSTILE not in text
    assert HOSTILE in seen  # as text, to the letter


async def test_what_the_api_server_says_of_a_refusal_is_text_too(api, site):
    api.hold(*world())
    api.refused = {"restores": 403}
    await site.reader.start()
    said = Tags(await site.text("/")).said
    assert "Restore objects are not shown: restores says 403" in said
    assert "hippo" in said


async def test_a_kind_that_is_not_there_yet_is_said_and_the_rest_is_shown(api, site):
    api.hold(*world())
    api.refused = {"restoredrills": 404}
    await site.reader.start()
    assert "RestoreDrill objects are not shown: this cluster does not have the kind" in await site.text("/drills")
    assert "hippo" in await site.text("/")


async def test_where_nothing_may_be_read_every_kind_is_named(api, site):
    api.refused = {"*": 403}
    await site.reader.start()
    said = Tags(await site.text("/")).said
    assert "Repository objects are not shown" in said
    for path, untrue in (("/", "There is no"), ("/week", "No run is due"), ("/drills", "No RestoreDrill is there")):
        assert untrue not in await site.text(path)
    assert (await site.get("/repository/ns/hippo")).status == 404


async def test_where_there_is_nothing_the_page_says_so(api, site):
    await site.reader.start()
    for path, said in (("/", "There is no"), ("/week", "No run is due"), ("/drills", "No RestoreDrill is there")):
        assert said in await site.text(path)


async def test_an_api_server_that_is_away_leaves_the_last_answer_with_its_age(api, site, server, clock):
    api.hold(*world())
    await site.reader.start()
    await server.close()
    clock.now += timedelta(minutes=3)
    said = Tags(await site.text("/")).said
    assert "The cluster is not answering now: cannot reach the API server" in said
    assert "What is shown is 3 min old" in said
    assert "hippo" in said


@pytest.mark.parametrize(
    ("code", "said"), [(500, "cannot answer now"), (401, "authentication failed"), (429, "cannot")]
)
async def test_an_api_server_that_answers_badly_is_one_that_is_away(api, site, clock, code, said):
    api.hold(*world())
    await site.reader.start()
    api.refused = {"*": code}
    clock.now += timedelta(minutes=3)
    assert said in await site.text("/")
    api.refused = {}
    clock.now += timedelta(minutes=1)
    again = Tags(await site.text("/")).said
    assert "not answering" not in again
    assert "0 s ago" in again


async def test_a_slow_api_server_does_not_hold_the_page(api, site, clock, monkeypatch):
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    api.hold(*world())
    await site.reader.start()
    api.open_.clear()
    clock.now += timedelta(minutes=3)
    text = await site.text("/")
    assert "The cluster is not answering" not in text
    clock.now += reading.SLOW
    text = await site.text("/")
    assert "the API server has not answered yet" in text
    assert "hippo" in text
    assert (await site.get("/repository/ns/hippo")).status == 200
    api.open_.set()


async def test_many_looks_are_one_reading(api, site, clock):
    api.hold(*world())
    await site.reader.start()
    once = len(api.asked)
    for _ in range(20):
        await site.text("/")
    assert len(api.asked) == once
    clock.now += reading.FRESH
    for _ in range(20):
        await site.text("/")
    assert len(api.asked) == 2 * once


async def test_nothing_is_ever_changed_in_the_cluster(api, site, clock):
    api.hold(*world())
    await site.reader.start()
    for path in PAGES:
        clock.now += timedelta(minutes=1)
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            answer = await site.get(path, method)
            assert answer.status == (200 if method in guard.METHODS else 405)
    assert {method for method, _ in api.asked} == {"GET"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stranger_gets_nothing_by_whatever_way(api, site, method):
    api.hold(*world())
    await site.reader.start()
    refused = [
        await site.get("/", method, Host="evil.example:4000"),
        await site.get("/", method, Origin="http://evil.example"),
        await site.client.request(method, "/", headers={"Host": "localhost"}),
        await site.client.request(method, "/wrong/", headers={"Host": "localhost"}),
        await site.client.request(method, "/wrong/static/page.js", headers={"Host": "localhost"}),
    ]
    for answer in refused:
        assert answer.status in {403, 404, 405}
        text = await answer.text()
        assert "hippo" not in text
        assert TOKEN not in text


@pytest.mark.parametrize("name", ["../shell.py", "..%2fshell.py", "%2e%2e/guard.py", "page.css/", "PAGE.CSS"])
async def test_no_other_file_is_served(site, name):
    answer = await site.client.get(f"/{TOKEN}/static/{name}", headers={"Host": "localhost"})
    assert answer.status == 404


async def test_the_files_of_the_page_are_served_with_their_type(site):
    for name, kind in pages.STATIC.items():
        answer = await site.get(f"/static/{name}")
        assert (answer.status, answer.content_type) == (200, kind)
        assert await answer.read() == pages.static(name)


async def test_a_repository_that_is_not_there_says_so(api, site):
    api.hold(*world())
    await site.reader.start()
    answer = await site.get("/repository/ns/hipo")
    assert answer.status == 404
    assert "There is no Repository hipo in namespace ns" in await answer.text()


async def test_a_moment_is_shown_with_its_command_and_a_wrong_one_with_its_fault(api, site):
    api.hold(*world())
    await site.reader.start()
    at = NOW - DAY / 2
    said = Tags(await site.text(f"/repository/ns/hippo?at={int(at.timestamp())}")).said
    assert "kubectl pgwarden restore hippo -n ns --context=lab --pitr-target=2026-11-23T00:00:00Z" in said
    assert "about 12 s" in said
    said = Tags(await site.text("/repository/ns/hippo?at=yesterday")).said
    assert "yesterday must be a time such as 2026-11-23T10:00:00Z" in said
    assert "--pitr-target" not in said


async def test_a_thousand_repositories_come_in_under_a_second(api, site, clock):
    """Read, judged, rendered and sent; the API server's own part in this process is not counted by the second look."""
    api.hold(*thousand())
    await site.reader.start()
    began = time.process_time()
    text = await site.text("/")
    assert time.process_time() - began < 1.0 * SLOWER
    assert text.count('class="row"') == 1000
