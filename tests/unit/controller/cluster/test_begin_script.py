"""What an instance's container does before Patroni, run by the real shell in folders of the test's own.

What it calls is not there, so a small script of the same name stands where one is needed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from controller.cluster import scripts
from harness.waiting import SLOWER, until
from pgwarden.api import names

from .conftest import spec

SOURCE = {"repository": "rhino"}
PLACES = (names.CLUSTER_DATA, names.CLUSTER_CONF, names.CONF_FILE, names.CLUSTER_TLS)


class Volume:
    """A pod's folders, with the scripts of the ConfigMap."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root / "log"
        self.data = self.at(names.CLUSTER_DATA)
        self.programs, self.conf = root / "bin", self.at(names.CLUSTER_CONF)
        for folder in (self.data, root / "tmp", self.programs, self.conf):
            folder.mkdir()
        for name, text in scripts.files("hippo", spec(dataSource=SOURCE)).items():
            self._program(self.conf / name, self._placed(text))
        self.at(names.CONF_FILE).write_text("[global]\n")
        for key, value in {"autofail": "on", "primary": ""}.items():
            (self.conf / key).write_text(value)

    def at(self, place: str) -> Path:
        return self.root / place.strip("/").replace("/", "-")

    def _placed(self, text: str) -> str:
        text = text.replace("/tmp/", f"{self.at('/tmp/')}/")
        for place in PLACES:
            text = text.replace(place, str(self.at(place)))
        return text

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def stands(self, name: str, text: str) -> None:
        self._program(self.programs / name, f"#!/bin/sh\n{text}\n")

    def asks(self, patroni: socket.socket, script: str) -> None:
        """*script* looks for Patroni at the port of that socket."""
        path, port = self.conf / script, patroni.getsockname()[1]
        path.write_text(path.read_text().replace(f":{names.PORT_PATRONI:04X}", f":{port:04X}"))

    @contextmanager
    def begin(self, shell: str = "sh") -> Iterator[subprocess.Popen[bytes]]:
        variables = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PATRONI_POSTGRESQL_DATA_DIR": f"{self.data}/data",
            "PGWARDEN_BIN": str(self.programs),
            "PGWARDEN_INSTANCE": "hippo-1",
        }
        # A signal that is ignored as a shell begins, as below nohup, cannot be trapped by it.
        argv = ["env", "--default-signal=HUP", shell, str(self.conf / "begin.sh")]
        with self.log.open("w") as log, subprocess.Popen(argv, env=variables, stderr=log, process_group=0) as running:
            try:
                yield running
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)

    def says(self, words: str) -> None:
        until(lambda: words in self.log.read_text(), words, 20, self.log.read_text, pause=0.01)

    @contextmanager
    def held(self) -> Iterator[None]:
        holder = os.open(self.data, os.O_RDONLY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(holder)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def made(volume: Volume) -> None:
    (volume.data / "data").mkdir()
    (volume.data / "data" / "PG_VERSION").write_text("17\n")


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_nothing_is_started_while_the_pod_before_is_still_at_work_on_the_volume(volume: Volume, shell: str):
    made(volume)
    volume.stands("patroni", f"echo $$ >> {volume.root}/started; exec sleep 600")
    started = volume.root / "started"
    with volume.begin(shell) as first:
        until(started.exists, "the first has begun", 20, pause=0.01)
        with volume.begin(shell):
            volume.says("waiting for the pod before")
            assert len(started.read_text().split()) == 1
            first.kill()
            until(lambda: len(started.read_text().split()) == 2, "the second has begun", 20, pause=0.01)


def test_with_autofail_off_no_server_is_started_beside_that_of_the_pod_before(volume: Volume):
    made(volume)
    (volume.conf / "autofail").write_text("off")
    (volume.conf / "primary").write_text("hippo-1")
    volume.stands("pg_ctl", f"touch {volume.root}/server")
    volume.stands("patroni", f"[ -e {volume.root}/server ]")
    (volume.data / "data" / "postmaster.pid").write_text("30\n")
    with ExitStack() as before:
        before.enter_context(volume.held())
        with volume.begin() as second:
            volume.says("waiting for the pod before")
            assert (volume.data / "data" / "postmaster.pid").exists()
            assert not (volume.root / "server").exists()
            before.close()
            assert second.wait(20 * SLOWER) == 0
    assert not (volume.data / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize("starts", [True, False], ids=["with them", "not with them"])
def test_with_autofail_off_the_primary_starts_with_the_parameters_of_now(volume: Volume, starts: bool):
    """What a Restore has put there has the parameters of its backup."""
    made(volume)
    (volume.conf / "autofail").write_text("off")
    (volume.conf / "primary").write_text("hippo-1")
    (volume.conf / "parameters").write_text("max_connections = '220'\n")
    conf = volume.data / "data" / "postgresql.conf"
    conf.write_text("max_connections = '100'\n")
    refusal = "" if starts else f"grep -q 220 {conf} && exit 1;"
    volume.stands("pg_ctl", f"{refusal} cat {conf} > {volume.root}/server")
    volume.stands("patroni", "exit 0")
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 0
    was = (volume.root / "server").read_text()
    assert was == "max_connections = '100'\n" + ("max_connections = '220'\n" if starts else "")
    assert not conf.with_name("postgresql.conf.before").exists()


def test_beside_a_running_primary_patroni_finds_its_access_rules_in_place_and_reads_its_configuration_once_more(
    volume: Volume,
):
    """A Patroni that has to write pg_hba.conf while it starts lets clients wait for a second more."""
    made(volume)
    for key, value in {"autofail": "off", "primary": "hippo-1", "access": "local all all peer\n"}.items():
        (volume.conf / key).write_text(value)
    hba = volume.data / "data" / "pg_hba.conf"
    hba.write_text("of the backup")
    volume.stands("pg_ctl", f"cp {hba} {volume.root}/server")
    volume.stands("sleep", "exec /bin/sleep 0.05")
    was, again = volume.root / "was", volume.root / "again"
    volume.stands("patroni", f"trap 'ls $1 > {again}; exit 0' HUP; cat $1/start.yml > {was}; while :; do sleep 1; done")
    with socket.socket() as patroni:
        patroni.bind(("127.0.0.1", 0))
        volume.asks(patroni, "read-again.sh")
        with volume.begin() as one:
            until(lambda: was.exists() and was.read_text(), "Patroni has begun", 20, pause=0.01)
            assert yaml.safe_load(was.read_text()) == {"postgresql": {"pg_hba": []}}
            assert (volume.root / "server").read_text() == "local all all peer\n"
            with pytest.raises(subprocess.TimeoutExpired):
                one.wait(0.5)  # it does not answer yet
            patroni.listen()
            assert one.wait(20 * SLOWER) == 0
    assert again.read_text().split() == ["bootstrap.yml", "patroni.yml"]


def certified(volume: Volume) -> Path:
    folder = volume.at(names.CLUSTER_TLS)
    folder.mkdir()
    (folder / names.KEY_INSTANCE_KEY).write_text("a key")
    (volume.conf / "tls").write_text("{}")
    return folder


def test_an_instance_with_certificates_is_told_more_and_one_without_is_not(volume: Volume):
    made(volume)
    volume.stands("python3", f"echo $3 >> {volume.root}/scheme")
    volume.stands("patroni", f"ls $1 > {volume.root}/told")
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 0
    assert "tls.yml" not in (volume.root / "told").read_text().split()
    certified(volume)
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 0
    assert (volume.root / "told").read_text().split() == ["bootstrap.yml", "patroni.yml", "tls.yml"]
    scheme = volume.root / "scheme"
    until(lambda: scheme.read_text().split() == ["http", "https"], "both are told", 20, pause=0.01)


def test_with_autofail_off_the_primary_with_certificates_starts_with_them(volume: Volume):
    made(volume)
    certified(volume)
    for key, value in {
        "autofail": "off",
        "primary": "hippo-1",
        "parameters": "",
        "access": "",
        "tls-parameters": "ssl = 'on'\n",
    }.items():
        (volume.conf / key).write_text(value)
    conf = volume.data / "data" / "postgresql.conf"
    conf.write_text("")
    volume.stands("pg_ctl", f"cat {conf} > {volume.root}/server")
    volume.stands("patroni", "exit 0")
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 0
    assert (volume.root / "server").read_text() == "ssl = 'on'\n"


def test_a_certificate_that_is_another_than_before_is_told_to_patroni_once_it_listens(volume: Volume):
    made(volume)
    folder = certified(volume)
    volume.stands("sleep", "exec /bin/sleep 0.05")
    begun, again = volume.root / "begun", volume.root / "again"
    volume.stands("patroni", f"trap 'echo >> {again}' HUP; touch {begun}; while :; do /bin/sleep 0.1; done")
    with socket.socket() as patroni:
        patroni.bind(("127.0.0.1", 0))
        volume.asks(patroni, "renew.sh")
        looked = volume.root / "looked"
        volume.stands("sha256sum", f"echo >> {looked}; exec /usr/bin/sha256sum")
        with volume.begin():
            until(
                lambda: begun.exists() and looked.exists() and len(looked.read_text()) > 2, "it looks", 20, pause=0.01
            )
            (folder / names.KEY_INSTANCE_KEY).write_text("another key")
            seen = len(looked.read_text())
            until(lambda: len(looked.read_text()) > seen + 2, "it has looked again", 20, pause=0.01)
            assert not again.exists()  # it does not listen yet
            patroni.listen()
            until(again.exists, "Patroni is told", 20, pause=0.01)
            seen = len(looked.read_text())
            until(lambda: len(looked.read_text()) > seen + 2, "it has looked again", 20, pause=0.01)
    assert len(again.read_text()) == 1


def test_where_a_volume_cannot_be_locked_it_goes_on_and_says_so(volume: Volume):
    made(volume)
    volume.stands("flock", "exit 65")
    volume.stands("patroni", "exit 0")
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 0
    volume.says("cannot be locked")


def take(volume: Volume) -> int:
    return subprocess.run(["sh", volume.conf / "take-clone.sh"], check=False, capture_output=True).returncode


@pytest.mark.parametrize("there", ["clone", "data.failed"], ids=["filled", "given up by Patroni"])
def test_what_a_recovery_has_filled_is_put_in_place_with_the_files_that_its_source_had_elsewhere(
    volume: Volume, there: str
):
    filled, data = volume.data / there, volume.data / "data"
    filled.mkdir()
    data.mkdir()
    (filled / "PG_VERSION").write_text("17\n")
    (filled / "pg_ident.conf").write_text("of the source")
    assert take(volume) == 0
    assert [one.name for one in volume.data.iterdir()] == ["data"]
    assert (data / "postgresql.conf").read_text() == ""
    assert (data / "pg_ident.conf").read_text() == "of the source"
    assert take(volume) != 0
    assert (data / "PG_VERSION").exists()


def test_a_wait_for_the_volume_that_is_ended_starts_nothing(volume: Volume):
    made(volume)
    volume.stands("patroni", f"touch {volume.root}/started")
    volume.stands("flock", "[ $1 = -n ] && exit 1; kill -TERM $$")
    with volume.begin() as one:
        assert one.wait(20 * SLOWER) == 1
    assert not (volume.root / "started").exists()
