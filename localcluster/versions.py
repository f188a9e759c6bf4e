"""Every pinned version in one place; changing one rebuilds just that tool."""

from __future__ import annotations

KUBERNETES = "1.35.4"
#: Staging modules (k8s.io/api, ...) are published as v0.MINOR.PATCH of the same release.
KUBERNETES_STAGING = "0.35.4"
COREDNS = "1.14.7"
HELM = "3.22.0"
#: What `helm template` without a cluster believes in. As in Helm's own releases: the minor of its client-go.
HELM_KUBERNETES = "1.37"
LOCAL_PATH_PROVISIONER = "0.0.30"
VERSITYGW = "1.8.0"
KUBE_NETWORK_POLICIES = "0.8.0"
#: One minor above the server is inside kubectl's supported version skew.
KUBECTL = "1.36.4"

#: Version of the two hand-made images; raise it when their content changes.
PAUSE_IMAGE = "localhost/pause:1"
HELPER_IMAGE = "localhost/pgwarden-helper:1"
