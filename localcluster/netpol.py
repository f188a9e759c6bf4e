"""NetworkPolicies: what a pod is sent begins with a packet that the enforcer (enforcer/main.go) lets pass or drops.

What comes from the node itself, as kubelet's probes do, is not asked about: it is sent, not forwarded.
"""

from __future__ import annotations

from localcluster import netns
from localcluster.commands import run
from localcluster.config import Machine

QUEUE = 100
# Before kube-proxy's rules of FORWARD (table filter), which accept some of it, and after it has put a pod's address in
# the place of a Service's. Without `--queue-bypass`: while nobody judges, nothing new passes.
_RULE = f"FORWARD -m conntrack --ctstate NEW -j NFQUEUE --queue-num {QUEUE}"


def ask(machine: Machine) -> None:
    """Send the first packet of each connection to the enforcer; skipped when present."""
    tables = "iptables -w -t mangle"
    run(
        [*netns.inside(machine), "sh", "-euc", f"{tables} -C {_RULE} 2>/dev/null || {tables} -A {_RULE}"],
        way_out="the kernel must offer netfilter queues (CONFIG_NETFILTER_XT_TARGET_NFQUEUE)",
    )


def is_judged(machine: Machine) -> bool:
    """Whether the enforcer reads the queue. It does when it knows all policies, namespaces and pods."""
    queues = run([*netns.inside(machine), "cat", "/proc/net/netfilter/nfnetlink_queue"])
    return any(line.split()[0] == str(QUEUE) for line in queues.splitlines())
