"""What the API server speaks of: an object as a plain dict, so that no field is ever lost on the way."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
