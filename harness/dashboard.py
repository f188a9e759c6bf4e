"""`kubectl pgwarden dashboard` as somebody runs it, and a browser in front of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, sync_playwright

from harness.command_line import argv
from harness.kubectl import Kubectl
from harness.processes import started
from harness.waiting import SLOWER

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]+/")


@dataclass
class Dashboard:
    address: str
    process: subprocess.Popen[str]

    def interrupted(self) -> tuple[int, str, str]:
        """Ctrl-C: exit code, and what it has said since it gave its address."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30 * SLOWER)
        return self.process.returncode, out, err


@contextmanager
def running(space: Kubectl, *words: str) -> Iterator[Dashboard]:
    """By KUBECONFIG, so that the commands on the page name no file."""
    command = [word for word in argv(space, "dashboard", "--no-open", *words) if not word.startswith("--kubeconfig=")]
    environment = os.environ | {"KUBECONFIG": str(space.kubeconfig)}
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = _ADDRESS.search(said)
        assert found, said + process.communicate(timeout=10)[1]
        yield Dashboard(found[0], process)


@contextmanager
def browser(chromium: Path) -> Iterator[Browser]:
    """Root may not use Chromium's sandbox; nothing but our own page is shown in it."""
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=60_000 * SLOWER)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def page(made: Browser, address: str, **options: object) -> Iterator[Page]:
    """AssertionError at the end where the browser complained of anything, or asked anybody else."""
    context = made.new_context(**{"viewport": {"width": 1200, "height": 800}} | options)  # type: ignore[arg-type]
    context.set_default_timeout(15_000 * SLOWER)
    shown, complaints = context.new_page(), list[str]()
    origin = address.split("/", 3)[2]
    shown.on("console", lambda said: complaints.append(f"console: {said.text}"))
    shown.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    shown.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def asked(request: Request) -> None:
        if request.url.split("/", 3)[2] != origin:
            complaints.append(f"asked {request.url}")

    shown.on("request", asked)
    try:
        yield shown
    finally:
        context.close()
    assert complaints == []
