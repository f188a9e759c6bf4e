"""The webhook itself, as `python3 -m pgwarden webhook` starts it, but with an API server that is given by its URL.

In a pod the URL, the token and the CA come from the service account; there is none on a test machine.
"""

from __future__ import annotations

import os
import sys

from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.webhook import main


async def _client() -> KubeClient:
    return KubeClient(Access(os.environ["BENCH_API"], None))


KubeClient.from_environment = _client  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main.main(sys.argv[1:]))
