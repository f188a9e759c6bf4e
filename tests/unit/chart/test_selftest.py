"""The script that `helm test` runs, and the objects around it."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.plain_ca import be_strict, serving, signed

NO_REPOSITORY = (
    '{field}: "pgwarden-selftest-absent": there is no Repository of this name in namespace default; create it'
)
OURS = ("pods.pgwarden.io", ("there is no Repository", "pgwarden-selftest-absent"))


@pytest.fixture(scope="module")
def script(chart):
    spec = importlib.util.spec_from_file_location("selftest", chart / "files" / "selftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def denied(webhook, message=NO_REPOSITORY):
    return f'admission webhook "{webhook}" denied the request: {message}'


def test_the_expected_refusal_passes(script):
    assert script.verdict(422, denied("pods.pgwarden.io"), *OURS) is None


def test_a_backup_refused_by_the_schema_alone_fails(script):
    _, _, _, webhook, words = script.checks("system", "")[0]
    refused = 'spec.type: "pgwarden-selftest": must be one of full, diff, incr'
    assert script.verdict(422, denied(webhook, refused), webhook, words) is None
    assert script.verdict(422, f'Backup.pgwarden.io "x" is invalid: {refused}', webhook, words)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (201, ""),
        (403, 'pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace "default"'),
        (500, 'failed calling webhook "pods.pgwarden.io": x509: certificate signed by unknown authority'),
        (422, denied("other.example.com")),
        (422, denied("pods.pgwarden.io", "something else is wrong with it")),
        (599, "the API server cannot be reached"),
    ],
)
def test_everything_else_fails(script, code, message):
    wrong = script.verdict(code, message, *OURS)
    assert wrong
    assert message in wrong


def test_it_waits_for_a_webhook_that_has_no_certificate_yet(script, capsys):
    answers = iter([(500, "x509"), (500, "x509"), (422, denied("pods.pgwarden.io"))])
    wanted = [check for check in script.checks("system", "default") if check[3] == OURS[0]]
    assert script.run(lambda *_: next(answers), wanted, seconds=5, pause=0.01) == 0
    assert "ok: refused a labelled pod in namespace default" in capsys.readouterr().out


def test_it_gives_up(script, capsys):
    assert script.run(lambda *_: (201, ""), script.checks("system", "default"), seconds=0.05, pause=0.01) == 2
    assert "no webhook was asked" in capsys.readouterr().out


def test_what_it_asks_for(script):
    backup, pod = script.checks("system", "default")
    assert backup[1] == "/apis/pgwarden.io/v1alpha1/namespaces/system/backups"
    assert pod[1] == "/api/v1/namespaces/default/pods"
    assert pod[2]["metadata"]["labels"] == {"pgwarden.io/repository": "pgwarden-selftest-absent"}
    assert [check[0] for check in script.checks("system", "")] == [backup[0]]


def test_only_dry_runs(script, monkeypatch, tmp_path):
    """Against a real HTTP server: the URL, the token, and the message out of a Status."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, self.headers["Authorization"], body["kind"]))
            self.send_response(422)
            self.end_headers()
            self.wfile.write(json.dumps({"kind": "Status", "message": denied("pods.pgwarden.io")}).encode())

        def log_message(self, *_):
            pass

    (tmp_path / "token").write_text("abc\n")
    authority = signed("kubernetes")
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    context = serving(signed("kube-apiserver", authority, address="127.0.0.1"), tmp_path)
    be_strict(monkeypatch)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(script, "ACCOUNT", str(tmp_path))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_port))
        create = script.api_server()
        for _, path, obj, _, _ in script.checks("system", "default"):
            code, message = create(path, obj)
            assert (code, message) == (422, denied("pods.pgwarden.io"))
        server.shutdown()
        stopped_port = server.server_port
    assert seen == [
        ("/apis/pgwarden.io/v1alpha1/namespaces/system/backups?dryRun=All", "Bearer abc", "Backup"),
        ("/api/v1/namespaces/default/pods?dryRun=All", "Bearer abc", "Pod"),
    ]
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(stopped_port))
    assert script.api_server()("/api/v1/namespaces/default/pods", {})[0] == 599


def test_needs_the_standard_library_only(chart):
    source = (chart / "files" / "selftest.py").read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)


def test_the_pod_runs_this_file(render, chart):
    rendered = render()
    assert rendered.one("ConfigMap", "pgwarden-selftest")["data"]["selftest.py"].rstrip("\n") == (
        chart / "files" / "selftest.py"
    ).read_text().rstrip("\n")
    pod = rendered.one("Pod", "pgwarden-selftest")["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["activeDeadlineSeconds"] > 60
    (container,) = pod["containers"]
    assert container["command"] == ["python3", "/selftest/selftest.py"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (env["SELFTEST_NAMESPACE"], env["SELFTEST_SECONDS"]) == ("default", "60")


def test_everything_of_it_is_a_test_hook_and_its_rights_go_with_it(render):
    for obj in render().objects + render("--set", "watchNamespaces={a}").objects:
        annotations = obj["metadata"].get("annotations", {})
        if "selftest" not in obj["metadata"]["name"]:
            assert "helm.sh/hook" not in annotations
            continue
        assert annotations["helm.sh/hook"] == "test"
        if obj["kind"] != "Pod":
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded,hook-failed"
            assert int(annotations["helm.sh/hook-weight"]) < 0


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [
        (("--set", "test.namespace=kube-system"), "pgwarden-system"),
        ((), "default"),
        (("--set", "test.namespace=legacy,webhook.excludedNamespaces={legacy}"), "pgwarden-system"),
    ],
)
def test_no_pod_is_asked_for_where_none_is_injected(render, arguments, namespace):
    rendered = render(*arguments, namespace=namespace)
    assert [
        role["metadata"]["namespace"]
        for role in rendered.all("Role")
        if role["metadata"]["name"] == "pgwarden-selftest"
    ] == [namespace]
    env = {e["name"]: e.get("value") for e in rendered.one("Pod", "pgwarden-selftest")["spec"]["containers"][0]["env"]}
    assert env["SELFTEST_NAMESPACE"] == ""


@pytest.mark.parametrize(
    ("given", "asked"),
    [("payroll,ledger", "payroll"), ("payroll,default", "default"), ("default", "default")],
    ids=["the first", "the one that it is told", "the only one"],
)
def test_with_namespaces_named_it_asks_in_one_of_them(render, given, asked):
    rendered = render("--set", f"watchNamespaces={{{given}}}")
    env = {e["name"]: e.get("value") for e in rendered.one("Pod", "pgwarden-selftest")["spec"]["containers"][0]["env"]}
    assert env["SELFTEST_OWN_NAMESPACE"] == env["SELFTEST_NAMESPACE"] == asked
    roles = {role["metadata"]["name"]: role for role in rendered.all("Role") if "selftest" in role["metadata"]["name"]}
    assert {name: role["rules"][0]["resources"] for name, role in roles.items()} == {
        "pgwarden-selftest": ["backups"],
        "pgwarden-selftest-pods": ["pods"],
    }
    assert {role["metadata"]["namespace"] for role in roles.values()} == {asked}
