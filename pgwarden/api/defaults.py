"""The operator's defaults: the chart's values, used one by one where a Repository says nothing."""

from __future__ import annotations


class OperatorDefaults:
    """By storage and field: `s3_bucket` is the chart's value `s3.bucket`. An empty one is none. Immutable.

    Which fields have a default, their storages say (pgwarden/storages).
    """

    __slots__ = ("_values",)

    def __init__(self, **values: str) -> None:
        self._values = {name: value for name, value in values.items() if value}

    def of(self, storage: str, field: str) -> str:
        return self._values.get(f"{storage}_{field}", "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OperatorDefaults) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"OperatorDefaults({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"
