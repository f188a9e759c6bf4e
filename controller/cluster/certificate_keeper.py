"""The certificates that instances speak TLS by: their Secret kept in step with the cluster's CA, or with the user's.

The last that was good stays in that Secret, whatever becomes of the one that spec.tls names. What is written there
reaches the pods by the kubelet, and PostgreSQL and Patroni by renew.sh.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import certificates, owned, succession
from controller.certificates import Pair
from controller.cluster import handed_out, render, user_certificate
from controller.cluster.encryption import Mode, Served
from controller.cluster.facts import ClusterFacts
from controller.context import Context
from controller.runtime import conditions
from controller.secret_data import decode
from controller.succession import Authority
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

#: What has not changed is looked for again after this long; a Secret of the user's at each look.
TRUSTED = timedelta(minutes=2)


@dataclass(frozen=True)
class _Known:
    cluster: str  # its uid
    served: Served
    until: datetime


class CertificateKeeper:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[Key, _Known] = {}

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    async def keep(self, facts: ClusterFacts) -> ClusterFacts:
        """With what is served. Before the first instance it waits for a Secret that cannot be served."""
        if facts.encryption is Mode.OFF:
            return facts
        served = await self._served(facts)
        left = facts.left or ("" if served.ca else served.trouble)
        if served.ca and facts.credentials is not None and facts.encryption is Mode.WHOLE:
            await self._hand_out(facts.credentials, served)
        return replace(facts, served=served, left=left)

    async def _served(self, facts: ClusterFacts) -> Served:
        metadata = facts.cluster["metadata"]
        key, uid = (metadata["namespace"], metadata["name"]), metadata["uid"]
        known, given = self._known.get(key), facts.spec.tls.secret_ref if facts.spec.tls else None
        if known and known.cluster == uid and given is None and facts.now < known.until:
            return known.served
        self.forget(key)
        name = names.instance_tls(facts.name)
        found = await self._find(facts, name)
        owned.prove(found, render.secret(facts.cluster, name, {}))
        have = decode(found) if found else {}
        authority = await self._authority(facts, have.get(names.KEY_INSTANCE_CA, b""))
        ca = authority.bundle
        own = self._own(facts, authority.signs, have)
        user, trouble = (None, "") if given is None else await self._users(facts, given.name)
        content = _content(facts, ca, own, user, have, trouble)
        if content is None:
            return Served(trouble=trouble)
        if content != have:
            path = paths.of("secrets", key[0], names.instance_tls(facts.name))
            await self._context.client.apply(
                path, render.secret(facts.cluster, names.instance_tls(facts.name), content)
            )
            await self._nudge(facts)
        served = Served(content[names.KEY_CA_CERT], certificates.expires(content[names.KEY_TLS_CERT]), trouble)
        if given is None:
            self._known[key] = _Known(uid, served, min(facts.now + TRUSTED, certificates.renews(own.cert)))
        return served

    async def _hand_out(self, secret: Object, served: Served) -> None:
        """Once all instances speak TLS."""
        missing, metadata = handed_out.missing(secret, served.ca), secret["metadata"]
        if not missing:
            return
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "data": missing}
        try:
            await self._context.client.merge(paths.of("secrets", metadata["namespace"], metadata["name"]), patch)
        except errors.Conflict:
            return  # it was changed meanwhile: the next look sees that

    async def _nudge(self, facts: ClusterFacts) -> None:
        """Touch the pods that mount it: the kubelet looks at a pod's volumes then, else only each minute."""
        stamp = {names.ANNOTATION_CONFIG_HASH: conditions.timestamp(facts.now)}
        for pod in [one.pod for one in facts.instances if one.pod is not None]:
            path = paths.of("pods", facts.cluster["metadata"]["namespace"], pod["metadata"]["name"])
            with suppress(errors.NotFound):
                await self._context.client.merge(path, {"metadata": {"annotations": stamp}})

    async def _find(self, facts: ClusterFacts, name: str) -> Object | None:
        return await self._context.client.find(paths.of("secrets", facts.cluster["metadata"]["namespace"], name))

    async def _authority(self, facts: ClusterFacts, believed: bytes) -> Authority:
        """The cluster's own, made once: clients keep its certificate. One that cannot sign any more is made anew, one
        that ends is succeeded. *believed*: the bundle that instances are given.
        """
        name, found = names.instance_ca(facts.name), await self._find(facts, names.instance_ca(facts.name))
        path = paths.of("secrets", facts.cluster["metadata"]["namespace"], name)
        if found is None:
            made = render.secret(facts.cluster, name, _new(facts).data())
            try:
                await self._context.client.create(path.rpartition("/")[0], made)
            except errors.Conflict:
                made = await self._context.client.get(path)
            found = made
        owned.prove(found, render.secret(facts.cluster, name, {}))
        known = succession.read(decode(found))
        # A pod that is ready has a kubelet that works: what was written a month ago is there.
        all_have_it = known is not None and known.bundle == believed and all(one.ready for one in facts.instances)
        after = succession.advance(known, _called(facts), facts.now, all_have_it=all_have_it) if known else _new(facts)
        if after != known:
            await self._context.client.apply(path, render.secret(facts.cluster, name, after.data()))
        return after

    def _own(self, facts: ClusterFacts, ca: Pair, have: Mapping[str, bytes]) -> Pair:
        """Of the instances, as servers and as each other's clients."""
        name = names.cn_instance(facts.name)
        dns = server_names(facts.name, facts.cluster["metadata"]["namespace"], self._context.settings.cluster_domain)
        leaf = _pair(have, names.KEY_INSTANCE_CERT, names.KEY_INSTANCE_KEY)
        if certificates.still_good(leaf, ca, name, dns, facts.now):
            return leaf
        return certificates.issue(ca, name, dns, facts.now)

    async def _users(self, facts: ClusterFacts, name: str) -> tuple[Mapping[str, bytes] | None, str]:
        """What the Secret *name* holds; or None, and why it cannot be served."""
        found, about = await self._find(facts, name), f"spec.tls.secretRef: Secret {name}"
        if found is None:
            return None, f"{about} does not exist in namespace {facts.cluster['metadata']['namespace']}; create it"
        if found.get("type") != user_certificate.TYPE:
            return None, f"{about} is of type {found.get('type')}; it must be of type {user_certificate.TYPE}"
        data = decode(found)
        fault = user_certificate.fault(data, facts.now)
        return (None, f"{about} {fault}; write a good one there") if fault else (data, "")


def server_names(cluster: str, namespace: str, domain: str) -> list[str]:
    """All that an instance is called by: both Services in each form, and each pod behind the Repository's Service."""
    services = [names.cluster_primary(cluster), names.cluster_replicas(cluster)]
    found = [form for one in services for form in (one, f"{one}.{namespace}", f"{one}.{namespace}.svc")]
    pods = names.pod_dns_wildcard(cluster, namespace)
    whole = [f"{one}.{namespace}.svc.{domain}" for one in services]
    return ["localhost", *found, *whole, pods, f"{pods}.{domain}"]


def _content(
    facts: ClusterFacts,
    ca: bytes,
    own: Pair,
    user: Mapping[str, bytes] | None,
    have: Mapping[str, bytes],
    trouble: str,
) -> dict[str, bytes] | None:
    """The Secret's data; *ca* are the certificates of the cluster's own authority. In *trouble* the certificate that it
    *have*s goes on; None where it has none, and nobody who would be served another in its place.
    """
    data = {
        names.KEY_INSTANCE_CERT: own.cert,
        names.KEY_INSTANCE_KEY: own.key,
        names.KEY_INSTANCE_CA: ca,
        names.KEY_CA_CERT: ca,
        names.KEY_TLS_CERT: own.cert,
        names.KEY_TLS_KEY: own.key,
    }
    last = {key: have.get(key, b"") for key in user_certificate.KEYS}
    of_user = all(last.values()) and have.get(names.KEY_TLS_CERT) != have.get(names.KEY_INSTANCE_CERT)
    if user is not None:
        both = user[names.KEY_CA_CERT].rstrip() + b"\n" + ca  # the way from one to the other, and back
        return data | {key: user[key] for key in user_certificate.KEYS} | {names.KEY_CA_CERT: both}
    if trouble and of_user:
        return data | last
    if trouble and not have and not facts.instances:
        return None
    return data


def _new(facts: ClusterFacts) -> Authority:
    return Authority(certificates.new_ca(_called(facts), facts.now))


def _called(facts: ClusterFacts) -> str:
    return f"pgwarden {facts.name} instances"


def _pair(data: Mapping[str, bytes], cert: str, key: str) -> Pair:
    return Pair(data.get(cert, b""), data.get(key, b""))
