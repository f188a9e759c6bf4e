"""What the webhook is told, and what it must not import to be up within a second, and small."""

import subprocess
import sys

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.injection import settings
from webhook import main

HEAVY = (
    "aiohttp.web",
    "yaml",
    "kubernetes",
    "cryptography",
    "psycopg",
    "requests",
    "controller",
    "agent",
)


def test_environment():
    """The chart's variables."""
    given = settings.from_environment(
        {"PGWARDEN_IMAGE": "i", "PGWARDEN_IMAGE_PULL_POLICY": "Always", "PGWARDEN_S3_BUCKET": "b"}
    )
    assert (given.image, given.image_pull_policy, given.namespace) == ("i", "Always", "pgwarden-system")
    assert given.defaults == OperatorDefaults(s3_bucket="b")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "PGWARDEN_IMAGE must name the image of sidecars"),
        ({"PGWARDEN_IMAGE": "i", "PGWARDEN_IMAGE_PULL_POLICY": "x"}, "must be one of Always, IfNotPresent, Never"),
    ],
)
def test_environment_that_cannot_work(environment, sentence):
    """Said at the start, not at the first pod."""
    with pytest.raises(ValueError, match=sentence):
        settings.from_environment(environment)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "PGWARDEN_IMAGE must name"),
        (
            {"PGWARDEN_IMAGE": "i", "PGWARDEN_WEBHOOK_SERVER": "quick"},
            "PGWARDEN_WEBHOOK_SERVER must be one of fast, plain, not 'quick'\n",
        ),
    ],
    ids=["no image", "no such server"],
)
def test_main_says_what_is_wrong(monkeypatch, capsys, environment, sentence):
    """Exit status 2, one sentence."""
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr("pgwarden.logs.configure", lambda _: None)
    assert main.main([]) == 2
    assert capsys.readouterr().err.startswith(f"pgwarden webhook: {sentence}")


@pytest.mark.parametrize(
    ("argv", "environment", "expected"),
    [
        ([], {}, main.Options()),
        ([], {"PGWARDEN_PORT": "1", "PGWARDEN_HTTP_PORT": "2"}, main.Options(port=1, http_port=2)),
        (["--port", "3"], {"PGWARDEN_PORT": "1"}, main.Options(port=3)),
        ([], {"PGWARDEN_TLS_SECRET": "s"}, main.Options(tls_secret="s")),
        ([], {"PGWARDEN_WEBHOOK_SERVER": "plain"}, main.Options(server="plain")),
        ([], {"PGWARDEN_WEBHOOK_SERVER": ""}, main.Options(server="fast")),
        ([], {"PGWARDEN_CHECK_REQUESTER": "false"}, main.Options(check_requester=False)),
        ([], {"PGWARDEN_CONTROLLER_ACCOUNT": "c"}, main.Options(controller="c")),
        ([], {"PGWARDEN_POSTGRES_IMAGES": "a/,b:1"}, main.Options(postgres_images=("a/", "b:1"))),
        ([], {"PGWARDEN_WATCH_NAMESPACES": "a,b"}, main.Options(watch_namespaces=("a", "b"))),
        ([], {"PGWARDEN_WATCH_NAMESPACES": ""}, main.Options()),
    ],
)
def test_options(argv, environment, expected):
    """Arguments win over the environment."""
    assert expected == main._options(argv, environment)


def imported(modules):
    code = f"import sys, {modules}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_imports_stay_light():
    """Start time and memory of every replica hang on this."""
    assert imported("webhook.main, webhook.fast, pgwarden.rules") & set(HEAVY) == set()


def test_the_plain_server_needs_nothing_of_the_fast_one():
    """It is the way out when the fast one cannot be imported."""
    assert imported("webhook.main, webhook.plain") & {"webhook.fast", "webhook.connection"} == set()
