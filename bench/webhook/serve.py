"""The webhook itself, as `python3 -m webhook` starts it, but with an API server that is given by its URL.

In a pod the URL, the token and the CA come from the service account; there is none on a test machine. Nor does the
image have rich, a tool of the developers that structlog loads where it finds it, at the price of 3 MB.
"""

from __future__ import annotations

import os
import sys


def serve() -> int:
    """Until SIGTERM; the exit code."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # whoever imports it finds it missing
    from pgwarden.kube.access import Access
    from pgwarden.kube.client import KubeClient
    from webhook import main

    async def client() -> KubeClient:
        return KubeClient(Access(os.environ["BENCH_API"], None))

    KubeClient.from_environment = client  # type: ignore[method-assign]
    return main.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(serve())
