"""The host's server: which role runs it, and which ports each role's probe asks."""

from __future__ import annotations

from agent.check import PORTS
from agent.paths import Paths
from agent.process import Agent
from pgwarden.api import names
from pgwarden.contract.environment import Instance, Role, Settings, of_server


def test_the_hosts_agent_runs_no_server_of_pgbackrest_and_the_one_beside_postgresql_does(tmp_path):
    paths = Paths.below(tmp_path)
    assert Agent(Settings(Role.REPOSITORY, "hippo"), paths)._state.status().server is None
    beside = Agent(Settings(Role.POSTGRES, "hippo", Instance("/data")), paths)._state.status().server
    assert beside is not None
    assert not beside.running


def test_the_server_reads_its_own_configuration():
    assert Settings.read(of_server("hippo")) == Settings(Role.SERVER, "hippo")
    assert Role.SERVER.conf_key == names.KEY_SERVER_CONF


def test_the_probe_of_the_hosts_agent_asks_for_no_server():
    assert PORTS[Role.REPOSITORY.value] == (names.PORT_AGENT,)
    assert PORTS[Role.POSTGRES.value] == (names.PORT_PGBACKREST, names.PORT_AGENT)
