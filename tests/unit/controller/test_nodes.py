"""Whether a node is there, silent or gone for good: a volume that may come back is never taken for lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller import node_lookup, nodes
from controller.nodes import Lack
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient

Object = dict[str, Any]
SINCE = "2026-11-23T11:00:00Z"
TAINTED = f"it has the taint {nodes.OUT_OF_SERVICE}"
DELETED = "its Node object is deleted"


def node(name: str = "n2", *, ready: bool = True, taint: str = "") -> Object:
    condition = {"type": "Ready", "status": "True" if ready else "Unknown", "lastTransitionTime": SINCE}
    taints = [{"key": taint, "effect": "NoExecute"}] if taint else []
    return {
        "metadata": {"name": name, "labels": {nodes.HOSTNAME: name}},
        "spec": {"taints": taints},
        "status": {"conditions": [condition]},
    }


def volume(*terms: Object) -> Object:
    return {"metadata": {"name": "pv"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": list(terms)}}}}


def term(key: str, *values: str, fields: bool = False, operator: str = "In") -> Object:
    where = "matchFields" if fields else "matchExpressions"
    return {where: [{"key": key, "operator": operator, "values": list(values)}]}


TIED = {
    "by hostname": (volume(term(nodes.HOSTNAME, "n2")), {"n2"}),
    "by name": (volume(term("metadata.name", "n2", fields=True)), {"n2"}),
    "to one of two": (volume(term(nodes.HOSTNAME, "n2"), term(nodes.HOSTNAME, "n3")), {"n2", "n3"}),
    "to a zone": (volume(term("topology.kubernetes.io/zone", "a")), set()),
    "to a node or a zone": (volume(term(nodes.HOSTNAME, "n2"), term("topology.kubernetes.io/zone", "a")), set()),
    "to all nodes but one": (volume(term(nodes.HOSTNAME, "n2", operator="NotIn")), set()),
    "to none": ({"metadata": {"name": "pv"}, "spec": {}}, set()),
    "no volume": (None, set()),
}


@pytest.mark.parametrize("case", TIED)
def test_a_volume_is_tied_to_nodes_only_where_it_can_be_used_on_no_other(case: str):
    found, tied_to = TIED[case]
    assert nodes.homes(found) == tied_to


SILENT = node(ready=False)
OFF = node(ready=False, taint=nodes.OUT_OF_SERVICE)
NOTHING: dict[str, Object | None] = {}
TABLE = {
    "a local volume, the node is there": ({"n2": node()}, {"n2"}, [node()], None),
    "a local volume, the node is silent": ({"n2": SILENT}, {"n2"}, [SILENT], Lack("n2", bound=True, since=SINCE)),
    "a local volume, the node is told to be off": (
        {"n2": OFF}, {"n2"}, [OFF], Lack("n2", bound=True, proof=TAINTED, since=SINCE),
    ),
    "told to be off, but it is Ready": ({}, {"n2"}, [node(taint=nodes.OUT_OF_SERVICE)], None),
    "silent with another taint": (
        {}, {"n2"}, [node(ready=False, taint="node.kubernetes.io/unreachable")], Lack("n2", bound=True, since=SINCE),
    ),
    "a local volume, the node is deleted": ({"n2": None}, {"n2"}, [], Lack("n2", bound=True, proof=DELETED)),
    "deleted, and the new pod has no node yet": (NOTHING, {"n2"}, [], Lack("n2", bound=True, proof=DELETED)),
    "the node has lost its label, and is silent": (
        {"x": SILENT}, {"n2"}, [], Lack("n2", bound=True, since=SINCE),
    ),
    "the node has lost its label, and is there": ({"x": node()}, {"n2"}, [], None),
    "one of two that it can be used on is there": ({}, {"n2", "n3"}, [OFF, node("n3")], None),
    "one of two is only silent": ({}, {"n2", "n3"}, [OFF, SILENT], Lack("n2 and n3", bound=True, since=SINCE)),
    "a volume of the network, the node is there": ({"n2": node()}, (), [], None),
    "a volume of the network, the node is silent": ({"n2": SILENT}, (), [], Lack("n2", bound=False, since=SINCE)),
    "a volume of the network, the node is deleted": ({"n2": None}, (), [], Lack("n2", bound=False, proof=DELETED)),
    "nothing is known": (NOTHING, (), [], None),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_what_is_lacking(case: str):
    pods, tied_to, there, wanted = TABLE[case]
    assert nodes.lack(pods, tied_to, there) == wanted


@pytest.mark.parametrize("found", [one[3] for one in TABLE.values() if one[3]], ids=[k for k in TABLE if TABLE[k][3]])
def test_a_volume_is_lost_only_with_a_proof_and_only_where_it_is_tied(found: Lack):
    assert found.is_lost == (found.bound and found.proof in {TAINTED, DELETED})


def test_a_silent_node_is_told_with_the_way_out_in_words():
    said = nodes.told("hippo-1", Lack("n2", bound=True, since=SINCE))
    assert said == (
        f"hippo-1 is on node n2, which has not been Ready since {SINCE}; its volume is on that node alone. "
        "If the node never returns, say so by `kubectl delete node n2`"
    )
    assert nodes.told("hippo-1", Lack("n2", bound=True, proof=DELETED)) == (
        f"the volume of hippo-1 is lost with node n2 ({DELETED})"
    )


class Api(KubeClient):
    """Objects by their path, and what was asked."""

    def __init__(self, **there: Object) -> None:
        super().__init__(Access("http://fake", None))
        self.there, self.asked = there, []

    async def request(self, method: str, path: str, *, params: Any = None, **_: Any) -> Any:
        name = path.rpartition("/")[2]
        self.asked.append(name + (f"?{params['labelSelector']}" if params and "labelSelector" in params else ""))
        if params and "labelSelector" in params:
            return {
                "items": [one for one in self.there.values() if nodes.HOSTNAME in one["metadata"].get("labels", {})]
            }
        if name not in self.there:
            raise errors.NotFound(404, "NotFound", path)
        return copy.deepcopy(self.there[name])


def pod(on: str = "") -> Object:
    return {"metadata": {"name": "p"}, "spec": {"nodeName": on} if on else {}}


CLAIM = {"metadata": {"name": "c", "uid": "u"}, "spec": {"volumeName": "pv"}}


async def test_while_the_pod_is_on_a_node_that_is_ready_no_more_is_read():
    api = Api(n2=node())
    assert await node_lookup.lack(api, "ns", [pod("n2")], "c") is None
    assert api.asked == ["n2"]


async def test_a_pod_that_nothing_can_take_is_understood_by_its_claims_volume():
    api = Api(c=CLAIM, pv=volume(term(nodes.HOSTNAME, "n2")))
    assert await node_lookup.lack(api, "ns", [pod()], "c") == Lack("n2", bound=True, proof=DELETED, claim_uid="u")
    assert api.asked == ["c", "pv", f"nodes?{nodes.HOSTNAME} in (n2)", "n2"]


async def test_a_node_of_that_name_without_its_label_is_not_gone():
    silent = node(ready=False)
    del silent["metadata"]["labels"]
    api = Api(c=CLAIM, pv=volume(term(nodes.HOSTNAME, "n2")), n2=silent)
    assert await node_lookup.lack(api, "ns", [pod()], "c") == Lack("n2", bound=True, since=SINCE, claim_uid="u")


async def test_a_claim_whose_volume_is_gone_or_that_is_gone_itself_is_lost_whatever_its_node():
    lost = CLAIM | {"status": {"phase": "Lost"}}
    found = await node_lookup.lack(Api(c=lost), "ns", [pod()], "c")
    assert found == Lack("", bound=True, proof="PersistentVolume pv of claim c no longer exists", claim_uid="u")
    assert found.is_lost
    gone = await node_lookup.lack(Api(), "ns", [pod()], "c")
    assert gone == Lack("", bound=True, proof="claim c does not exist")


async def test_a_pod_that_runs_still_has_the_volume_that_kubernetes_has_lost():
    api = Api(c=CLAIM | {"status": {"phase": "Lost"}}, n2=node())
    assert await node_lookup.lack(api, "ns", [pod("n2")], "c") is None
