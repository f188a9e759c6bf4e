"""kubectl pgwarden dashboard against a real API server, in a real browser: what it shows is what kubectl says.

The controllers are ended meanwhile, so that the states stay as they are written. PGWARDEN_SAVE=1 renews the pictures of
docs/dashboard.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from harness import dashboard
from harness.command_line import argv, pgwarden
from harness.install import ROOT
from harness.kubectl import Kubectl
from harness.waiting import SLOWER
from pgwarden.api.reading import moment
from pgwarden.kube import access, paths
from pgwarden.kube.client import KubeClient
from tests.apiserver import manifests
from tests.apiserver.release import Controllers, Release
from tests.apiserver.test_policies import with_token
from tests.unit.contract import produced

Object = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FLEET = 1000


def condition(kind: str, state: str = "True", message: str = "") -> Object:
    return {
        "type": kind,
        "status": state,
        "reason": "Well" if state == "True" else "Failed",
        "message": message,
        "lastTransitionTime": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
    }


def status(*, archiving: Object | None = None, **more: Any) -> Object:
    """As the controller's own code makes it, of backups until an hour ago."""
    sets = produced.chain("FIIDIIFII", last=NOW - timedelta(hours=1), every=timedelta(hours=12))
    found: Object = produced.repository(sets, archived=NOW - timedelta(minutes=2))["status"]
    pods = [{"name": "db-0", "role": "primary", "reachable": True, "injected": True}]
    known = [condition("Ready"), condition("Reachable"), archiving or condition("Archiving")]
    return found | {"phase": "Ready", "conditions": known, "pods": pods} | more


#: Name → its status; None: nobody has looked at it yet.
STATES: dict[str, Object | None] = {
    "well": status(),
    "stuck": status(archiving=condition("Archiving", "False", "storage local: no space left on the volume")),
    "bare": status(recoveryWindow=[], backups=[]),
    "new": None,
}
DRILL = {
    "phase": "Failed",
    "reason": "ChecksFailed",
    "message": "check orders-are-there said f",
    "startTime": f"{NOW - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}",
    "completionTime": f"{NOW - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",
    "seconds": {"copy": 12, "replay": 3, "checks": 20},
    "checks": [{"name": "orders-are-there", "outcome": "Failed", "message": "f"}],
}


def written(space: Kubectl, kind: str, name: str, told: Object | None) -> None:
    space.run("patch", kind, name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": told}))


@pytest.fixture(scope="module")
def states(webhook: object, controllers: Controllers, space: Kubectl) -> Kubectl:
    for one in controllers.running:
        one.terminate()
    space.apply(
        *(manifests.repository(name) for name in STATES),
        *(manifests.schedule(f"{name}-full", repository=name, type="full") for name in STATES),
        manifests.made("RestoreDrill", "proof", repository="well"),
    )
    for name, told in STATES.items():
        if told is not None:
            written(space, "pgrepo", name, told)
    written(space, "pgdrill", "proof", DRILL)
    return space


@pytest.fixture(scope="module")
def site(states: Kubectl) -> Iterator[dashboard.Dashboard]:
    with dashboard.running(states) as made:
        yield made


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with dashboard.browser(chromium) as made:
        yield made


@pytest.fixture
def page(browser: Browser, site: dashboard.Dashboard) -> Iterator[Page]:
    with dashboard.page(browser, site.address) as made:
        made.goto(site.address)
        yield made


def said(space: Kubectl) -> dict[str, Object]:
    """What `kubectl pgwarden status` says of each."""
    return {one["repository"]: one for one in json.loads(pgwarden(space, "status", "-o", "json").stdout)}


def iso(page: Page, row: str, column: int) -> datetime | None:
    found = page.locator(f"{row} tr:first-child td:nth-of-type({column}) time")
    return moment(found.get_attribute("datetime")) if found.count() else None


def picture(page: Page, name: str, height: int = 640) -> None:
    if os.environ.get("PGWARDEN_SAVE"):
        page.set_viewport_size({"width": 1200, "height": height})
        page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")


def test_every_state_is_shown_as_kubectl_says_it(page: Page, states: Kubectl):
    told = said(states)
    assert page.locator("tbody.row").count() == len(STATES) == len(told)
    for name, one in told.items():
        row = f'tbody[data-key="{states.namespace}/{name}"]'
        headline = {True: "protected", False: "at risk" if one["since"] else "not protected"}[one["protected"]]
        assert page.locator(f"{row} .state").first.inner_text() == headline, name
        assert iso(page, row, 2) == moment(one["since"]), name
        assert [text.removeprefix("Wrong: ") for text in page.locator(f"{row} .wrong").all_inner_texts()] == one[
            "wrong"
        ]
        last = states.get("pgrepo", name)["status"].get("lastBackup", {}) if STATES[name] else {}
        assert iso(page, row, 5) == moment(last.get("stopTime")), name
    assert {name for name, one in told.items() if one["protected"]} == {"well"}


def test_what_an_object_says_is_text_and_never_runs(page: Page, states: Kubectl):
    """The fixture's end finds any dialog, error or request to somebody else."""
    written(states, "pgrepo", "stuck", status(archiving=condition("Archiving", "False", HOSTILE)))
    page.locator("#repositories", has_text=HOSTILE).wait_for()
    page.get_by_role("link", name="stuck").click()
    page.locator("#facts", has_text=HOSTILE).wait_for()
    assert page.locator("main img, main script").count() == 0
    written(states, "pgrepo", "stuck", STATES["stuck"])


def test_a_moment_is_chosen_by_keyboard_and_its_command_does_what_was_said(page: Page, states: Kubectl):
    page.get_by_role("link", name="well").press("Enter")
    slider = page.get_by_role("slider", name="Moment in the window")
    command = page.locator("#command")
    assert command.inner_text() == f"kubectl pgwarden restore well -n {states.namespace}"
    slider.focus()
    for _ in range(2):
        before = command.inner_text()
        slider.press("PageDown")
        page.wait_for_function("before => document.getElementById('command').textContent !== before", arg=before)
    assert page.evaluate("document.activeElement.id") == "at-range"
    picture(page, "dashboard-repository", 1180)
    text = command.inner_text()
    assert "--pitr-target=" in text
    assert page.locator("line.cursor").count() == 1
    assert slider.get_attribute("aria-valuetext").startswith("to 20")
    words = shlex.split(text)[2:]
    environment = os.environ | {"KUBECONFIG": str(states.kubeconfig)}
    done = subprocess.run(
        [*argv(states)[:3], *words, "--plan", "-o", "json"],
        capture_output=True, text=True, check=False, timeout=60 * SLOWER, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    forecast = json.loads(done.stdout)["forecast"]
    assert (
        page.locator("#m-set").inner_text() == f"{forecast['set']} ({forecast['type']}, storage {forecast['storage']})"
    )
    assert forecast["lost"].split(", that is")[0] in page.locator("#m-lost").inner_text()


def test_everything_drawn_has_its_words(page: Page):
    page.get_by_role("link", name="well").click()
    drawing = page.get_by_role("img", name="Timeline of well")
    assert "storage local: any moment from 20" in drawing.locator("desc").text_content()
    marks = drawing.locator("g.mark title").all_text_contents()
    assert len(marks) == 9 + 1
    assert any(mark.startswith("RestoreDrill proof: Failed") for mark in marks)
    assert page.get_by_role("heading", level=1).inner_text().endswith("well")
    for name in ("Repositories", "Coming week", "Drills"):
        assert page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).count() == 1


def test_by_keyboard_alone_the_table_is_reached_and_filtered(page: Page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    page.keyboard.type("stuck")
    assert [one for one in page.locator("tbody.row").all() if one.is_visible()] != []
    assert page.get_by_role("rowheader").all_inner_texts()[0] != ""
    visible = [one.get_attribute("data-key") for one in page.locator("tbody.row").all() if one.is_visible()]
    assert [key.split("/")[1] for key in visible] == ["stuck"]


def test_a_change_is_shown_without_a_reload(page: Page, states: Kubectl):
    page.evaluate("window.stayed = true")
    row = page.locator(f'tbody[data-key="{states.namespace}/well"]')
    assert row.locator(".state").first.inner_text() == "protected"
    worse = status(archiving=condition("Archiving", "False", "the bucket is gone"))
    written(states, "pgrepo", "well", worse)
    row.get_by_text("the bucket is gone").wait_for()
    written(states, "pgrepo", "well", STATES["well"])
    row.locator(".state.good").first.wait_for()
    assert page.evaluate("window.stayed")


def test_the_week_and_the_drills_are_those_of_the_objects(page: Page, states: Kubectl):
    page.get_by_role("link", name="Coming week").click()
    assert page.locator("tbody tr").count() == 7 * len(STATES)
    page.get_by_role("link", name="Drills").click()
    text = page.locator("#drills").inner_text()
    for part in ("proof", "Failed", "copy 12", "replay 3", "checks 20", "35 s", "check orders-are-there said f"):
        assert part in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_and_print_have_their_colours(browser: Browser, site: dashboard.Dashboard, scheme: str):
    with dashboard.page(browser, site.address, color_scheme=scheme) as page:
        page.goto(site.address)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        picture(page, f"dashboard-{scheme}")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 20, 25)"}[scheme]
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.get_by_role("navigation", name="Pages").is_visible()
        assert page.pdf()[:5] == b"%PDF-"


def test_without_rights_to_a_kind_the_page_says_so_and_shows_the_rest(
    browser: Browser, states: Kubectl, release: Release, tmp_path: Path
):
    where = states.namespace
    states.run("create", "serviceaccount", "viewer")
    kinds = "repositories.pgwarden.io,backupschedules.pgwarden.io"
    states.run("create", "role", "viewer", "--verb=list", f"--resource={kinds}")
    states.run("create", "rolebinding", "viewer", "--role=viewer", f"--serviceaccount={where}:viewer")
    viewer = with_token(release, states, tmp_path, "viewer")
    with dashboard.running(viewer) as made, dashboard.page(browser, made.address) as page:
        page.goto(made.address)
        assert page.locator("tbody.row").count() == len(STATES)
        notes = page.locator("#said .banner").all_inner_texts()
        assert {note.split(" objects are not shown: ")[0] for note in notes} == {
            "Backup", "Restore", "RestoreDrill", "RestoreDrillSchedule", "PostgresCluster",
        }  # fmt: skip
        assert all("cannot list resource" in note for note in notes)
        page.get_by_role("link", name="well").click()
        assert "restore well" in page.locator("#command").inner_text()


def test_when_the_command_has_ended_the_page_says_that_it_is_old(browser: Browser, states: Kubectl):
    with dashboard.running(states) as made:
        context = browser.new_context()
        page = context.new_page()
        page.goto(made.address)
        code, out, err = made.interrupted()
        assert (code, out) == (0, "")
        assert "Traceback" not in err
        page.get_by_text("kubectl pgwarden dashboard does not answer").wait_for(timeout=30_000 * SLOWER)
        assert page.locator("tbody.row").count() == len(STATES)
        context.close()


def test_a_port_that_is_taken_is_an_error_that_names_it(states: Kubectl):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = pgwarden(states, "dashboard", "--no-open", f"--port={port}")
    assert done.returncode == 2
    assert f"--port {port}: cannot listen there: another program uses it" in done.stderr
    assert done.stdout == ""


def test_a_cluster_that_is_not_there_is_an_error_and_no_page(states: Kubectl, tmp_path: Path):
    text = states.kubeconfig.read_text()
    server = next(line.split()[-1] for line in text.splitlines() if "server:" in line)
    path = tmp_path / "away.kubeconfig"
    path.write_text(text.replace(server, "https://127.0.0.1:9"))
    done = pgwarden(Kubectl(states.program, path, states.namespace), "dashboard", "--no-open")
    assert done.returncode == 2
    assert "cannot reach the API server" in done.stderr


# --- a thousand ---------------------------------------------------------------------------------------------------


async def _make_fleet(space: Kubectl) -> None:
    """As the controller leaves them, without asking kubectl a thousand times."""
    told = status(pods=[])  # whose deletion nothing stands against
    async with KubeClient(await access.from_kubeconfig(str(space.kubeconfig)), at_once=20) as client:

        async def one(number: int) -> None:
            name = f"fleet-{number}"
            made = manifests.repository(name)
            await client.create(paths.of("repositories", space.namespace), made)
            await client.merge(paths.of("repositories", space.namespace, name, "status"), {"status": told})

        await asyncio.gather(*map(one, range(FLEET)))


async def _end_fleet(space: Kubectl) -> None:
    async with KubeClient(await access.from_kubeconfig(str(space.kubeconfig))) as client:
        await client.request("DELETE", paths.of("repositories", space.namespace), timeout=60 * SLOWER)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_a_thread(work: Any) -> None:
    """Beside the browser's driver, which has this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@pytest.fixture
def fleet(states: Kubectl, release: Release) -> Iterator[Kubectl]:
    """In a namespace of its own. It goes afterwards: the controllers of other modules would look after all of it."""
    name = f"{states.namespace}-fleet"
    states.run("create", "namespace", name)
    space = states.within(name)
    in_a_thread(_make_fleet(space))
    yield space
    in_a_thread(_end_fleet(space))


def test_a_thousand_repositories_are_there_in_under_a_second(browser: Browser, fleet: Kubectl):
    """Of the command's CPU, as other programs have the machine too."""
    with dashboard.running(fleet) as made, dashboard.page(browser, made.address) as page:
        page.goto(made.address)
        assert page.locator("tbody.row").count() == FLEET
        took, worked = [], []
        for _ in range(5):
            began, before = time.monotonic(), cpu_seconds(made.process.pid)
            with urllib.request.urlopen(made.address) as answer:
                text = answer.read()
            took.append(time.monotonic() - began)
            worked.append(cpu_seconds(made.process.pid) - before)
        assert text.count(b'class="row"') == FLEET
        told = f"{min(took):.2f} s, of CPU {min(worked):.2f} s"
        print(f"{FLEET} Repositories, {len(text)} bytes: {told}")  # noqa: T201  a figure for the report
        assert min(worked) < 1.0
        page.get_by_label("Show only").fill("fleet-99")
        page.locator("#shown", has_text="11 shown").wait_for()
