"""Which kubeconfig, which context, which namespace; and each thing that can be wrong with one, in one sentence."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgwarden.kube import access, kubeconfig
from pgwarden.kube.kubeconfig import KubeconfigError

CLUSTER = {"server": "https://192.0.2.1:6443"}


def config(**more: Any) -> dict[str, Any]:
    return {
        "current-context": "prod",
        "contexts": [
            {"name": "prod", "context": {"cluster": "c", "user": "u", "namespace": "zoo"}},
            {"name": "test", "context": {"cluster": "c"}},
        ],
        "clusters": [{"name": "c", "cluster": CLUSTER}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    } | more


def user(**fields: Any) -> dict[str, Any]:
    return config(users=[{"name": "u", "user": fields}])


def plugin(**fields: Any) -> dict[str, Any]:
    return user(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh"} | fields)


def printing(text: str) -> dict[str, Any]:
    return plugin(args=["-c", f"echo '{text}'"])


@pytest.fixture
def write(tmp_path: Path):
    def written(content: Any, name: str = "config") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
        return path

    return written


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def oidc(expires: datetime) -> dict[str, Any]:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(expires.timestamp())}).encode()).decode().rstrip("=")
    about = {"client-id": "c", "client-secret": "s", "idp-issuer-url": "https://192.0.2.2", "refresh-token": "r"}
    return user(**{"auth-provider": {"name": "oidc", "config": about | {"id-token": f"h.{claims}.s"}}})


FAULTS = {
    "an id-token that has expired": (
        oidc(datetime.now(UTC) - timedelta(hours=1)),
        "",
        "context prod of the kubeconfig cannot be used: the id-token has expired; run any kubectl command, which renews",
    ),
    "broken YAML": ("a: b\nc: [", "", "is not YAML: line 2: expected the node content, but found '<stream end>'"),
    "bytes that are no text": ("\x00", "", "is not YAML: unacceptable character"),
    "a list": ("[1]", "", "is not a kubeconfig: it must be a mapping with contexts and clusters"),
    "contexts that are none": (
        config(contexts={"a": "b"}),
        "",
        "contexts must be a list of entries with name and conte",
    ),
    "users without names": (config(users=[{"user": {}}]), "", "users must be a list of entries with name and user"),
    "no current context": (
        config(**{"current-context": ""}),
        "",
        "has no current-context; it has prod, test: choose",
    ),
    "a context with a slip": (config(), "prd", "has no context prd; did you mean prod?"),
    "another context": (config(), "dev-eu", "has no context dev-eu; it has prod, test"),
    "a cluster that is not there": (config(clusters=[]), "", "context prod of the kubeconfig names cluster 'c', which"),
    "a user that is not there": (
        config(users=[]),
        "",
        "context prod of the kubeconfig names user 'u', which it does not",
    ),
    "a CA file that is not there": (
        config(clusters=[{"name": "c", "cluster": CLUSTER | {"certificate-authority": "ca.crt"}}]),
        "",
        "context prod of the kubeconfig cannot be used: File does not exists:",
    ),
    "a CA that is none": (
        config(clusters=[{"name": "c", "cluster": CLUSTER | {"certificate-authority-data": "bm9uZQ=="}}]),
        "",
        "context prod of the kubeconfig cannot be used: ",
    ),
    "a proxy that is not spoken": (
        config(clusters=[{"name": "c", "cluster": CLUSTER | {"proxy-url": "socks5://192.0.2.1:1080"}}]),
        "",
        "proxy-url socks5://192.0.2.1:1080 must begin with http:// or https://",
    ),
    "a plug-in that is not installed": (
        plugin(command="no-such-plugin"),
        "",
        "exec plug-in no-such-plugin was not found: install it, or put its folder on PATH",
    ),
    "a plug-in with a hint": (
        plugin(command="no-such-plugin", installHint="get it\nthere"),
        "",
        "exec plug-in no-such-plugin was not found: get it there",
    ),
    "a plug-in that is no program": (plugin(command="/etc/passwd"), "", "/etc/passwd cannot be run: Permission denied"),
    "a plug-in without version": (plugin(apiVersion=""), "", "exec plug-in must have command and apiVersion"),
    "a plug-in that fails": (
        plugin(args=["-c", "echo usage >&2; echo 'token expired: log in again' >&2; exit 3"]),
        "",
        "exec plug-in /bin/sh failed with exit code 3: token expired: log in again",
    ),
    "a plug-in that fails silently": (plugin(args=["-c", "exit 4"]), "", "/bin/sh failed with exit code 4"),
    "a plug-in that says nothing": (plugin(args=["-c", "true"]), "", "printed no ExecCredential: "),
    "a plug-in of another version": (
        printing('{"apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"t"}}'),
        "",
        "printed client.authentication.k8s.io/v1beta1, and the kubeconfig asks for client.authentication.k8s.io/v1",
    ),
    "a plug-in without token": (
        printing('{"apiVersion":"client.authentication.k8s.io/v1","status":{}}'),
        "",
        "printed neither a token nor a client certificate",
    ),
    "a plug-in without key": (
        printing('{"apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"x"}}'),
        "",
        "printed a client certificate or its key, and must print both",
    ),
}


@pytest.mark.parametrize(("content", "context", "words"), FAULTS.values(), ids=FAULTS)
async def test_what_is_wrong_is_one_sentence(write, content, context, words):
    path = write(content)
    with pytest.raises(KubeconfigError) as raised:
        await access.from_kubeconfig(str(path), context)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, OSError)  # so that whoever tries again does


async def test_without_any_kubeconfig_it_says_so():
    with pytest.raises(KubeconfigError, match="no kubeconfig found: set KUBECONFIG"):
        await access.from_kubeconfig()


def test_of_several_files_the_first_to_say_something_wins(write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """As kubectl merges: of the context that is current as well, and an empty or missing file is no fault."""
    one = write({"current-context": "b", "users": [{"name": "u", "user": {"token": "first"}}]}, "one")
    two = write(config(**{"current-context": "prod"}), "two")
    three = write({"contexts": [{"name": "b", "context": {"cluster": "c", "user": "u", "namespace": "bees"}}]}, "three")
    files = [one, write("", "empty"), tmp_path / "missing", two, three]
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    found = kubeconfig.read()
    assert found is not None
    assert (found.current, found.namespace(), found.namespace("prod")) == ("b", "bees", "zoo")
    assert found.context().user == {"token": "first"}
    assert found.context().cluster == CLUSTER


async def test_the_connection_is_that_of_the_context_whose_namespace_is_used(write, monkeypatch: pytest.MonkeyPatch):
    other = {"server": "http://192.0.2.9"}
    one = write(
        {
            "current-context": "mine",
            "contexts": [{"name": "mine", "context": {"cluster": "mine", "namespace": "burrow"}}],
            "clusters": [{"name": "mine", "cluster": other}],
        },
        "one",
    )
    monkeypatch.setenv("KUBECONFIG", f"{one}:{write(config())}")
    assert kubeconfig.namespace() == "burrow"
    assert (await access.from_kubeconfig()).server == other["server"]


async def test_files_are_looked_for_beside_the_kubeconfig_that_names_them(write, tmp_path: Path):
    path = write(user(tokenFile="token"), "folder/config")
    (tmp_path / "folder" / "token").write_text("of-the-file")
    found = await access.from_kubeconfig(str(path))
    assert (await found.headers())["Authorization"] == "Bearer of-the-file"


async def test_a_plug_in_is_looked_for_beside_the_kubeconfig_if_it_is_a_path(write, tmp_path: Path):
    path = write(plugin(command="./login"), "folder/config")
    script = tmp_path / "folder" / "login"
    script.write_text(
        "#!/bin/sh\n"
        'echo "{\\"apiVersion\\":\\"client.authentication.k8s.io/v1\\",\\"status\\":{\\"token\\":\\"$WHO\\"}}"\n'
    )
    script.chmod(0o755)
    path.write_text(yaml.safe_dump(plugin(command="./login", env=[{"name": "WHO", "value": "me"}])))
    found = await access.from_kubeconfig(str(path))
    assert (await found.headers())["Authorization"] == "Bearer me"


async def test_a_context_without_user_sends_nothing(write):
    found = await access.from_kubeconfig(str(write(config())), "test")
    assert not await found.headers()


async def test_a_name_and_a_password_are_sent_as_such(write):
    found = await access.from_kubeconfig(str(write(user(username="a", password="b"))))
    assert (await found.headers())["Authorization"] == "Basic YTpi"


async def test_whom_a_user_acts_as_is_sent(write):
    extra = {"as-uid": "7", "as-groups": ["g1", "g2"], "as-user-extra": {"Dept/X": ["a", "b"]}}
    found = await access.from_kubeconfig(str(write(user(token="t", **{"as": "jane"} | extra))))
    assert list((await found.headers()).items()) == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "g1"),
        ("Impersonate-Group", "g2"),
        ("Impersonate-Extra-Dept%2FX", "a"),
        ("Impersonate-Extra-Dept%2FX", "b"),
        ("Authorization", "Bearer t"),
    ]


async def test_an_id_token_that_is_good_is_sent(write):
    found = await access.from_kubeconfig(str(write(oidc(datetime.now(UTC) + timedelta(hours=1)))))
    assert (await found.headers())["Authorization"].startswith("Bearer h.")
