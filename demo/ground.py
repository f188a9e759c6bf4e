"""Where the demo plays: the local cluster, or the user's own one, with pgwarden installed and an empty namespace."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.images import check_images
from demo.narrator import DemoError, Narrator
from harness.install import LOCAL_IMAGE, NAMESPACE
from harness.postgres import IMAGE as LOCAL_POSTGRES
from localcluster.config import clusters
from localcluster.errors import LocalClusterError
from localcluster.tools import Tools

OFFICIAL_POSTGRES = "postgres:17"
#: Marks a namespace as the demo's own: no other one is ever emptied.
LABEL = "pgwarden.io/demo"
#: What the chart makes, so what the user who installs it must be allowed to make.
RIGHTS = (
    "namespaces",
    "customresourcedefinitions.apiextensions.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "deployments.apps",
    "statefulsets.apps",
)


@dataclass(frozen=True)
class Ground:
    """What the story needs to know of the place."""

    kubeconfig: Path
    local: bool
    name: str  # of the local cluster
    image: str
    postgres_image: str
    namespace: str


def lay(tell: Narrator) -> Ground:
    ground = _choose()
    with tell.step("What there is to run on"):
        _describe(tell, ground)
    if ground.local:
        with tell.step("A Kubernetes cluster on this machine"):
            _local(tell, ground)
        with tell.step("Container images, from this checkout"):
            command = [sys.executable, "-m", "localcluster.images", "build", "pgwarden", "postgres", "--load"]
            tell.pass_on(command, "docs/localcluster.md", more={"PGWARDEN_CLUSTER": ground.name})
    else:
        with tell.step("Your cluster"):
            _foreign(tell, ground)
    with tell.step(f"An empty namespace, {ground.namespace}"):
        _namespace(tell, ground)
    if not ground.local:
        with tell.step("Can the cluster pull the images?"):
            check_images(tell, ground.namespace, [one for one in (ground.image, ground.postgres_image) if one])
    with tell.step("helm install: CRDs, webhook, controller, certificates"):
        _install(tell, ground)
    return ground


def _choose() -> Ground:
    """KUBECONFIG decides, unless it is that of a local cluster: then a second `make demo` is as the first."""
    given, namespace = os.environ.get("KUBECONFIG", ""), os.environ.get("NAMESPACE", "pgwarden-demo")
    image, postgres = os.environ.get("IMAGE", ""), os.environ.get("POSTGRES_IMAGE", "")
    own = [one for one in clusters() if given and one.kubeconfig.resolve() == Path(given).resolve()]
    if given and not own:
        return Ground(Path(given), False, "", image, postgres or OFFICIAL_POSTGRES, namespace)
    from localcluster.config import cluster

    chosen = own[0] if own else cluster()
    return Ground(chosen.kubeconfig, True, chosen.name, image or LOCAL_IMAGE, postgres or LOCAL_POSTGRES, namespace)


def _describe(tell: Narrator, ground: Ground) -> None:
    if not ground.local:
        tell.say(f"KUBECONFIG is set, so the demo runs on your own cluster ({ground.kubeconfig}) and builds nothing.")
        return
    if os.geteuid() != 0:
        raise DemoError(
            "the local cluster needs root (network namespaces, mounts, cgroups)",
            "run it as root on a test machine, or on your own cluster: KUBECONFIG=… IMAGE=… make demo",
        )
    tools = Tools()
    try:
        cached = all(tools.path(name).exists() for name in ("kubectl", "helm", "kube-apiserver"))
    except LocalClusterError:
        cached = False
    if not cached and shutil.which("go") is None:
        raise DemoError("the local Kubernetes is built from source, and `go` is not installed", "docs/localcluster.md")
    tell.say(
        f"""KUBECONFIG is not set, so the demo runs a one-node Kubernetes on this machine: cluster {ground.name}, in its
        own network namespace. `make cluster-down` removes it."""
    )
    if not cached:
        tell.say(
            "This is the first time on this machine: building its programs from source takes 12 to 20 minutes, once."
        )


def _local(tell: Narrator, ground: Ground) -> None:
    more = {"PGWARDEN_CLUSTER": ground.name}
    tell.pass_on([sys.executable, "-m", "localcluster", "up"], "docs/localcluster.md", more=more)
    tools = Tools()
    folders = [str(tools.path(name).parent) for name in ("kubectl", "helm")]
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    tell.use(KUBECONFIG=str(ground.kubeconfig), PATH=path, PGWARDEN_CLUSTER=ground.name)
    tell.show("kubectl get nodes")


def _foreign(tell: Narrator, ground: Ground) -> None:
    if os.pathsep in str(ground.kubeconfig):
        flat = "kubectl config view --flatten --raw > one.yaml; KUBECONFIG=one.yaml make demo"
        raise DemoError("KUBECONFIG names several files; the demo takes one", flat)
    if not ground.kubeconfig.is_file():
        raise DemoError(f"KUBECONFIG names {ground.kubeconfig}, which is not a file")
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            raise DemoError(f"{program} is not on the PATH", "https://kubernetes.io/docs/tasks/tools/, https://helm.sh")
    tell.use(KUBECONFIG=str(ground.kubeconfig.resolve()))
    tell.show("kubectl get nodes", "does the API server answer? kubectl cluster-info")
    missing = [one for one in RIGHTS if tell.run(f"kubectl auth can-i create {one} --all-namespaces")[0] != 0]
    if missing:
        raise DemoError(
            f"this user may not create {', '.join(missing)}, which the chart needs",
            "kubectl auth can-i --list; the demo needs an administrator of the cluster",
        )
    tell.say("This user may create everything in the chart.")
    classes = json.loads(tell.run("kubectl get storageclasses -o json")[1] or '{"items": []}')["items"]
    mark = "storageclass.kubernetes.io/is-default-class"
    if not any(one["metadata"].get("annotations", {}).get(mark) == "true" for one in classes):
        raise DemoError("the cluster has no default StorageClass, and the demo needs volumes", "kubectl get sc")
    if not ground.image and not _installed(tell):
        raise DemoError(
            "IMAGE is not set: pgwarden's image must be in a registry that your cluster can pull from",
            "docker build -t REGISTRY/pgwarden:dev . && docker push REGISTRY/pgwarden:dev; "
            "IMAGE=REGISTRY/pgwarden:dev make demo",
        )


def _installed(tell: Narrator) -> bool:
    return tell.run(f"kubectl -n {NAMESPACE} get deployment pgwarden-controller")[0] == 0


def _namespace(tell: Narrator, ground: Ground) -> None:
    code, out, err = tell.run(f"kubectl get namespace {ground.namespace} -o json --ignore-not-found")
    if code:
        raise DemoError(err.strip(), "kubectl cluster-info")
    if out.strip():
        if LABEL not in json.loads(out)["metadata"].get("labels", {}):
            raise DemoError(
                f"namespace {ground.namespace} exists already and is not the demo's",
                "NAMESPACE=another-name make demo",
            )
        tell.say("It is left from an earlier demo: it is deleted with its volumes and created again.")
        tell.show(f"kubectl delete namespace {ground.namespace}", f"kubectl get namespace {ground.namespace} -o yaml")
    tell.show(f"kubectl create namespace {ground.namespace}")
    tell.show(f"kubectl label namespace {ground.namespace} {LABEL}=true", quiet=True)


def _install(tell: Narrator, ground: Ground) -> None:
    before = _installed(tell)
    hints = (f"kubectl -n {NAMESPACE} get pods", f"kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp")
    if before and not ground.image:
        tell.say("pgwarden is already installed and IMAGE is not set: the demo uses it as it is.")
    else:
        repository, _, tag = ground.image.rpartition(":")
        never = " --set image.pullPolicy=Never" if ground.image.startswith("localhost/") else ""
        tell.show(
            f"helm upgrade --install pgwarden charts/pgwarden --namespace {NAMESPACE} --create-namespace --wait "
            f"--set image.repository={repository} --set image.tag={tag}{never}",
            *hints,
            seconds=420,
            quiet=True,
        )
    if before and ground.local:
        tell.say("It was installed before: restarting its pods with the image that was just built.")
        for name in ("pgwarden-webhook", "pgwarden-controller"):
            tell.show(f"kubectl -n {NAMESPACE} rollout restart deployment/{name}", *hints, quiet=True)
            tell.show(f"kubectl -n {NAMESPACE} rollout status deployment/{name} --timeout=120s", *hints, quiet=True)
    probe = f"kubectl -n {ground.namespace} apply --dry-run=server -f demo/manifests/repository.yaml"

    def answers() -> tuple[bool, str]:
        code, _, err = tell.run(probe)
        return code == 0, "" if code == 0 else err.strip().splitlines()[-1][:200]

    tell.wait("the webhook's answer", answers, 120, *hints, f"kubectl -n {NAMESPACE} logs deployment/pgwarden-webhook")
    tell.show(f"kubectl -n {NAMESPACE} get pods")
