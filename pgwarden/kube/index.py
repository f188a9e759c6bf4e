"""Lookups in a watch cache by something other than the name, so that none has to pass over all objects."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from pgwarden.api.objects import Object

Key = tuple[str, str]
#: What an object is found by; None leaves it out.
Value = Callable[[Object], Hashable | None]


class Index:
    def __init__(self, value: Value) -> None:
        self._value = value
        self._of: dict[Hashable, dict[Key, None]] = {}

    def put(self, key: Key, obj: Object, before: Object | None) -> None:
        if before is not None:
            self.drop(key, before)
        value = self._found(obj)
        if value is not None:
            self._of.setdefault(value, {})[key] = None

    def drop(self, key: Key, obj: Object) -> None:
        value = self._found(obj)
        found = self._of.get(value)
        if found is not None:
            found.pop(key, None)
            if not found:
                del self._of[value]

    def _found(self, obj: Object) -> Hashable | None:
        """None for an object of a shape that the value cannot be read from: it is left out, the others are not."""
        try:
            value = self._value(obj)
            hash(value)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            return None
        return value

    def __getitem__(self, value: Hashable) -> list[Key]:
        return list(self._of.get(value, {}))

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._of)


def namespace(obj: Object) -> Hashable:
    return str(obj["metadata"].get("namespace", ""))


def repository(obj: Object) -> Hashable | None:
    """Namespace and name of the Repository that spec.repository names."""
    spec = obj.get("spec")
    name = spec.get("repository") if isinstance(spec, dict) else None
    return (namespace(obj), name) if isinstance(name, str) else None


def label(name: str) -> Value:
    """Namespace and value of that label."""

    def value(obj: Object) -> Hashable | None:
        found = (obj["metadata"].get("labels") or {}).get(name)
        return None if found is None else (namespace(obj), found)

    return value
