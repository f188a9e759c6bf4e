"""HTML from values. Everything is escaped by jinja2; no value is ever marked as safe."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import jinja2

_FOLDER = resources.files(__package__)
#: File → its type. Nothing else is served.
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@functools.cache
def static(name: str) -> bytes:
    return (_FOLDER / "static" / name).read_bytes()
