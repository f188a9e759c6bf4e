"""What is known of PostgreSQL images: a table, one row an image.

An image that is not here is asked about, never taken for the official one. What a row leaves empty is asked for, too:
it differs from tag to tag, or nobody has looked.
"""

from __future__ import annotations

import re

import msgspec

OFFICIAL_DATA, ROOT_OF_18 = "/var/lib/postgresql/data", "/var/lib/postgresql"  # the latter is the volume from 18 on
USUAL_SOCKET = "/var/run/postgresql"
_TAG_BEGINS = r"^[^:]*:(\d+)"
_PG_IN_TAG = r":(?:.*[-_.])?(?:pg|postgres[-_]?)(\d+)"
_AFTER_NAME = r"-(\d+)"


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """The variables of a container by which an image is told. Of several names the first that is there counts."""

    user: tuple[str, ...] = ()
    password: tuple[str, ...] = ()
    password_file: tuple[str, ...] = ()
    #: Where this names another role, `password_of_other` is that role's and not the superuser's.
    other_role: tuple[str, ...] = ()
    password_of_other: tuple[str, ...] = ()
    file_of_other: tuple[str, ...] = ()
    port: tuple[str, ...] = ("PGPORT",)
    #: What initdb was given, and how clients show who they are: a password may be asked for on the socket, too.
    initdb: tuple[str, ...] = ()
    method: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[str]:
        return frozenset(name for field in self.__struct_fields__ for name in getattr(self, field))


AS_OFFICIAL = Variables(
    user=("POSTGRES_USER",),
    password=("POSTGRES_PASSWORD",),
    password_file=("POSTGRES_PASSWORD_FILE",),
    initdb=("POSTGRES_INITDB_ARGS",),
    method=("POSTGRES_HOST_AUTH_METHOD",),
)
_BITNAMI = Variables(
    password=("POSTGRESQL_POSTGRES_PASSWORD", "POSTGRES_POSTGRES_PASSWORD"),
    password_file=("POSTGRESQL_POSTGRES_PASSWORD_FILE", "POSTGRES_POSTGRES_PASSWORD_FILE"),
    other_role=("POSTGRESQL_USERNAME", "POSTGRESQL_USER", "POSTGRES_USER"),
    password_of_other=("POSTGRESQL_PASSWORD", "POSTGRES_PASSWORD"),
    file_of_other=("POSTGRESQL_PASSWORD_FILE", "POSTGRES_PASSWORD_FILE"),
    port=("POSTGRESQL_PORT_NUMBER",),
)
_SCLORG = Variables(password=("POSTGRESQL_ADMIN_PASSWORD",))
_OF_AN_OPERATOR = Variables(port=())
#: Every variable that counts for some image.
THAT_COUNT = AS_OFFICIAL.all | _BITNAMI.all | _SCLORG.all


class KnownImage(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `images` is a regular expression that matches the whole of REGISTRY/REPOSITORY."""

    name: str
    images: str
    version: str = _TAG_BEGINS  # finds the major version in NAME:TAG
    data: str = ""
    official_layout: bool = False  # the official image's data directory and volume, which differ by version
    data_is_fixed: bool = False  # `-D` names its configuration
    user: int | None = None
    group: int | None = None
    alpine: tuple[int, int] | None = None  # uid and gid where the tag says so
    socket: str = USUAL_SOCKET
    superuser: str = "postgres"
    variables: Variables = AS_OFFICIAL
    plain_command: bool = False  # its CMD is `postgres` and no more, so that ours may stand in its place
    hands_on: bool = True  # its entrypoint hands `postgres …` and `-c …` on


def _official(**more: object) -> dict[str, object]:
    return {"official_layout": True, "user": 999, "group": 999, "alpine": (70, 70)} | more


def _row(name: str, images: str, **more: object) -> KnownImage:
    return msgspec.convert({"name": name, "images": images} | more, KnownImage)


_BITNAMI_HAS = {
    "data": "/bitnami/postgresql/data",
    "user": 1001,
    "group": 0,
    "socket": "/tmp",  # noqa: S108  a folder of the container
    "variables": _BITNAMI,
    "hands_on": False,
}
_RED_HAT_HAS = {
    "data": "/var/lib/pgsql/data/userdata",
    "user": 26,
    "group": 26,
    "variables": _SCLORG,
    "hands_on": False,
}
_OPERATORS = {"variables": _OF_AN_OPERATOR, "hands_on": False}
_BITNAMI_TAG = re.compile(r":.*bitnami")
TABLE: tuple[KnownImage, ...] = (
    # `localhost/` is how podman and buildah call what was built on the machine.
    _row(
        "official",
        r"((docker\.io|index\.docker\.io|registry-1\.docker\.io|localhost)/)?postgres|(.+/)?library/postgres",
        **_official(plain_command=True),
    ),
    # Right behind a registry's name: a mirror of the official one, or somebody's own image, so that its CMD is kept.
    _row("mirror", r"[^/]+[.:][^/]*/postgres", **_official()),
    _row("PostGIS", r"(.+/)?(postgis|imresamu)/postgis", **_official(plain_command=True)),
    _row("pgvector", r"(.+/)?(pgvector/pgvector|ankane/pgvector)", **_official(plain_command=True, version=_PG_IN_TAG)),
    _row(
        "TimescaleDB",
        r"(.+/)?timescale/timescaledb(-postgis)?",
        official_layout=True,
        user=70,
        group=70,
        plain_command=True,
        version=_PG_IN_TAG,
    ),
    _row(
        "TimescaleDB-HA",
        r"(.+/)?timescale/timescaledb-ha",
        data="/home/postgres/pgdata/data",
        user=1000,
        group=1000,
        version=_PG_IN_TAG,
    ),
    _row("Citus", r"(.+/)?citusdata/citus", **_official(version=_PG_IN_TAG)),
    _row("Bitnami", r"(.+/)?bitnami(legacy|secure)?/(postgresql|postgresql-repmgr)", **_BITNAMI_HAS),
    _row(
        "Software Collections",
        r"(.+/)?(sclorg|centos|centos7|fedora)/postgresql-\d+.*",
        version=_AFTER_NAME,
        **_RED_HAT_HAS,
    ),
    _row("Red Hat", r"(.+/)?(rhel\d+|rhscl)/postgresql-\d+.*", version=_AFTER_NAME, **_RED_HAT_HAS),
    _row("OpenShift", r"(.+/)?openshift/postgresql", **_RED_HAT_HAS),
    _row(
        "Spilo",
        r"(.+/)?(zalando|acid)/spilo-\d+",
        version=_AFTER_NAME,
        data="/home/postgres/pgdata/pgroot/data",
        user=101,
        group=103,
        **_OPERATORS,
    ),
    _row(
        "Crunchy",
        r"(.+/)?crunchydata/crunchy-postgres(-ha|-gis|-gis-ha)?",
        version=r":(?:[a-z]+\d*-)?(\d+)[.-]",
        user=26,
        group=26,
        socket="/tmp",  # noqa: S108
        **_OPERATORS,
    ),
    _row("Percona", r"(.+/)?percona/percona-distribution-postgresql", data="/data/db", user=26, group=26),
    _row(
        "CloudNativePG",
        r"(.+/)?cloudnative-pg/(postgresql|postgis)",
        data="/var/lib/postgresql/data/pgdata",
        user=26,
        group=26,
        socket="/controller/run",
        **_OPERATORS,
    ),
    _row("Supabase", r"(.+/)?supabase/postgres", data=OFFICIAL_DATA, data_is_fixed=True, superuser="supabase_admin"),
    _row("Immich", r"(.+/)?immich-app/postgres", **_official()),
    _row("Chainguard", r"(.+/)?(chainguard|cgr\.dev/[^/]+)/postgres(-fips)?", data=OFFICIAL_DATA, user=70, group=70),
    _row(
        "StackGres",
        r"(.+/)?ongres/(patroni|postgres|postgresql)",
        data=OFFICIAL_DATA,
        user=999,
        group=999,
        version=r":.*pg(\d+)",
        **_OPERATORS,
    ),
    _row(
        "VectorChord", r"(.+/)?tensorchord/(vchord-postgres|vchord-suite|pgvecto-rs)", **_official(version=_PG_IN_TAG)
    ),
)
_PATTERNS = tuple((re.compile(row.images, re.IGNORECASE), row) for row in TABLE)
_BY_NAME = {row.name: row for row in TABLE}
#: An image that is not in the table, but called as one of PostgreSQL: its tag tells the version, and nothing else.
_NAMED_SO = re.compile(r"(?:^|/)(?:postgres|postgresql|postgis):(\d+)(?:[.-]|$)")


class Image(msgspec.Struct, frozen=True):
    """What an image reference tells of the PostgreSQL in it."""

    known: KnownImage | None
    major: int | None
    alpine: bool

    @property
    def official_layout(self) -> bool:
        return self.known is not None and self.known.official_layout

    @property
    def variables(self) -> Variables:
        """An image that is not known is often made from the official one: its entrypoint reads these."""
        return self.known.variables if self.known else AS_OFFICIAL

    @property
    def ids(self) -> tuple[int, int] | None:
        known = self.known
        if known is None or known.user is None:
            return None
        if self.alpine and known.alpine:
            return known.alpine
        return known.user, known.user if known.group is None else known.group


def image(reference: str) -> Image:
    """What the table has of *reference*: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`."""
    bare = reference.partition("@")[0]
    folder, slash, last = bare.rpartition("/")
    name, _, tag = last.partition(":")
    whole = f"{folder}{slash}{name}"
    known = next((row for pattern, row in _PATTERNS if pattern.fullmatch(whole)), None)
    found = re.search(known.version, f"{name}:{tag}") if known else _NAMED_SO.search(f"{name}:{tag}")
    if known is not None and _BITNAMI_TAG.search(last):
        known = _BY_NAME["Bitnami"]
    return Image(known, _major(found[1]) if found else None, "alpine" in tag)


def _major(digits: str) -> int | None:
    """96 is 9.6; 120 as Software Collections once wrote it is no version."""
    number = int(digits[:4])
    return 9 if 90 <= number <= 96 else number if number < 90 else None
