"""An exec plug-in of a kubeconfig (client.authentication.k8s.io): a program that prints a token or a certificate.

Run here rather than by the kubernetes package, which logs a plug-in's failure and goes on without credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pgwarden.kube.kubeconfig import KubeconfigError


@dataclass(frozen=True)
class Credential:
    """`pair` is key and certificate, PEM. Without `expires` it is good until the API server refuses it."""

    token: str = ""
    pair: bytes = b""
    expires: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Printed(msgspec.Struct, rename="camel"):
    api_version: str
    status: _Status


async def run(spec: Mapping[str, Any]) -> Credential:
    """What the plug-in of `users[].user.exec` prints. KubeconfigError where that is nothing to go by."""
    command, version = str(spec.get("command") or ""), str(spec.get("apiVersion") or "")
    if not command or not version:
        raise KubeconfigError("the kubeconfig's exec plug-in must have command and apiVersion")
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *map(str, spec.get("args") or []),
            env=_environment(spec, version),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        hint = " ".join(str(spec.get("installHint") or "install it, or put its folder on PATH").split())
        raise KubeconfigError(f"the kubeconfig's exec plug-in {command} was not found: {hint}") from None
    except OSError as error:
        raise KubeconfigError(f"the kubeconfig's exec plug-in {command} cannot be run: {error.strerror}") from None
    try:
        out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
    if process.returncode != 0:
        said = err.decode("utf-8", "replace").strip().splitlines()
        why = f": {said[-1].strip()}" if said else ""
        code = process.returncode
        raise KubeconfigError(f"the kubeconfig's exec plug-in {command} failed with exit code {code}{why}")
    return parse(out, command, version)


def parse(printed: bytes, command: str, version: str) -> Credential:
    """The ExecCredential that *command* printed."""
    whose = f"the kubeconfig's exec plug-in {command}"
    try:
        found = msgspec.json.decode(printed, type=_Printed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{whose} printed no ExecCredential: {error}") from None
    if found.api_version != version:
        raise KubeconfigError(f"{whose} printed {found.api_version}, and the kubeconfig asks for {version}")
    status = found.status
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise KubeconfigError(f"{whose} printed a client certificate or its key, and must print both")
    if not status.token and not status.client_key_data:
        raise KubeconfigError(f"{whose} printed neither a token nor a client certificate")
    pair = f"{status.client_key_data}\n{status.client_certificate_data}\n".encode() if status.client_key_data else b""
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        raise KubeconfigError(f"{whose} printed an expirationTimestamp without a time zone")
    return Credential(status.token or "", pair, expires)


def _environment(spec: Mapping[str, Any], version: str) -> dict[str, str]:
    given = {str(one["name"]): str(one.get("value", "")) for one in spec.get("env") or []}
    is_terminal = sys.stdin is not None and sys.stdin.isatty()
    asked = {"interactive": is_terminal and spec.get("interactiveMode") != "Never"}
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": asked}
    return {**os.environ, **given, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
