"""What an API server of the oldest version that the chart takes can answer: nothing of 1.30 or later is asked of it."""

from __future__ import annotations

import re

from tests.unit import sources

_SELECTORS = re.compile(r"""(?:field_selector|fieldSelector)["']?\s*[=:]\s*f?["']([^"'=]*)""")
#: Field selectors of custom resources need Kubernetes 1.31; these two every kind has had for ever.
OLD = {"metadata.name", "metadata.namespace"}


def test_no_field_selector_is_used_but_by_name():
    found = {
        (str(path.relative_to(sources.ROOT)), field)
        for path in sources.modules()
        for field in _SELECTORS.findall(path.read_text("utf-8"))
    }
    assert {field for _, field in found} <= OLD, found
    assert len(found) == 2, "the certificate's Secret, and the webhook's configurations"
