"""Process 1 of a container hears SIGTERM from its beginning: the kernel has no default action for it."""

from __future__ import annotations

import signal

import pytest

from agent.__main__ import main


@pytest.fixture
def _as_before():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(
    ("words", "module"),
    [(["job", "backup"], "agent.job"), (["recover"], "agent.recovery.command"), ([], "agent.main")],
    ids=["a job", "a recovery", "the agent"],
)
def test_a_sigterm_during_the_start_ends_it(words, module, monkeypatch):
    monkeypatch.setattr(f"{module}.main", lambda _arguments: signal.raise_signal(signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as if it were process 1
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 128 + signal.SIGTERM
