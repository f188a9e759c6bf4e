"""Each Repository of worlds.py in turn."""

from __future__ import annotations

import pytest

from tests.unit.contract import produced
from tests.unit.contract.worlds import WORLDS, World


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys(), scope="module")
def there(request: pytest.FixtureRequest) -> World:
    made: World = request.param()
    return made


@pytest.fixture(params=["with facts", "of an older version"], scope="module")
def also_before(request: pytest.FixtureRequest, there: World) -> World:
    """*there*, and as a version without facts left it, until the controller looks at it again."""
    old = request.param == "of an older version"
    return World(there.sets, produced.without_facts(there.repository)) if old else there
