"""How a cache keeps its objects: as they are, or as compressed text, in a small part of the memory. Both answer to the
same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, MutableMapping

import msgspec

from pgwarden.api.objects import Object
from pgwarden.kube.index import Key

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
#: Of deflate: a window of 8 KB and little state, which is made anew for each object; without a header.
_WINDOW, _STATE = -13, 5


class Plain(dict[Key, Object]):
    """As they are."""

    def outlines(self) -> Iterable[Object]:
        return self.values()

    def later(self, keys: Iterable[Key]) -> Callable[[], list[Object]]:
        found = [self[key] for key in keys]
        return lambda: found

    def version(self, key: Key) -> str:
        return str(self[key]["metadata"]["resourceVersion"])


class Packed(MutableMapping[Key, Object]):
    """As text, read anew each time that one is looked at. What is changed on an object that was got from it changes
    nothing here.

    Objects of a kind are much alike: each is compressed by the first one, to a fifth or less of its text.
    """

    def __init__(self) -> None:
        self._like = b""  # the first one's text
        self._texts: dict[Key, bytes] = {}
        self._versions: dict[Key, str] = {}
        self._outlines: dict[Key, tuple[str, Object]] = {}

    def __getitem__(self, key: Key) -> Object:
        return self._read(self._texts[key])

    def __setitem__(self, key: Key, obj: Object) -> None:
        text = _encode(obj)
        self._like = self._like or text
        packer = zlib.compressobj(wbits=_WINDOW, memLevel=_STATE, zdict=self._like)
        self._texts[key] = packer.compress(text) + packer.flush()
        self._versions[key] = str(obj["metadata"].get("resourceVersion", ""))

    def __delitem__(self, key: Key) -> None:
        del self._texts[key]
        del self._versions[key]
        self._outlines.pop(key, None)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def outlines(self) -> Iterable[Object]:
        """Of each object its `metadata` and `spec`, which are read from it once."""
        for key, version in self._versions.items():
            found = self._outlines.get(key)
            if found is None or found[0] != version:
                whole = self[key]
                found = self._outlines[key] = version, {"metadata": whole["metadata"], "spec": whole.get("spec")}
            yield found[1]

    def later(self, keys: Iterable[Key]) -> Callable[[], list[Object]]:
        """Reads the objects as they are now, when it is called."""
        texts = [self._texts[key] for key in keys]
        return lambda: [self._read(text) for text in texts]

    def version(self, key: Key) -> str:
        """Its resourceVersion, without a look at it."""
        return self._versions[key]

    def _read(self, text: bytes) -> Object:
        found: Object = _decode(zlib.decompressobj(_WINDOW, zdict=self._like).decompress(text))
        return found
