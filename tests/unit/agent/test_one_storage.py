"""A configuration that knows one storage alone."""

from __future__ import annotations

from types import SimpleNamespace

from agent.calls import Repository
from agent.paths import Paths

CONF = "[global]\nrepo1-path=/pgwarden/repo\nrepo2-type=s3\nrepo2-path=/a\nlog-level-file=off\n"


async def test_stanza_create_for_one_storage_knows_no_other(tmp_path):
    paths = Paths.below(tmp_path)
    paths.include.mkdir(parents=True)
    paths.conf_file.write_text(CONF)
    (paths.include / "credentials.conf").write_text("[global]\nrepo2-s3-key=k\n")
    seen = []

    class Runner:
        async def run(self, argv, _limit):
            folder = argv[0].removeprefix("--config=").removesuffix("/pgbackrest.conf")
            seen.append((tuple(argv[1:]), (tmp_path / folder / "pgbackrest.conf").read_text()))
            return SimpleNamespace(ok=True, exit_code=0, output="", timed_out=False)

    assert (await Repository("hippo", Runner(), paths=paths).stanza_create(2)).ok
    ((argv, text),) = seen
    assert argv[-2:] == ("--stanza=hippo", "stanza-create")
    assert "repo1-" not in text
    assert "repo2-path=/a" in text
    assert "repo2-s3-key=k" in text
    assert "log-level-file=off" in text
