"""The commands about clusters that pgwarden runs, with the seed's flags under the seed's names."""

from __future__ import annotations

from pgwarden.cli.pod_flags import FLAGS
from pgwarden.cli.shared_options import DRY_RUN, OUTPUT, RECOVERY_POINT, S3_EXAMPLE, STORAGE, TIMEOUT, YES
from pgwarden.cli.spec import Argument, Command, Option

_CLUSTER = Argument("cluster", "name of the PostgresCluster", names="postgresclusters")
_WAITING = (
    Option(("-w", "--wait"), "watch until the cluster is Ready; Ctrl-C only stops watching", switch=True),
    TIMEOUT,
)
_REPLICAS = Option(
    ("--replicas",), "number of instances, the primary included", "N", number=True, default=None, group="count"
)
_COUNT = (
    _REPLICAS,
    Option(
        ("--replica-count",),
        "number of replicas besides the primary (in `scale`: how many to add)",
        "N",
        number=True,
        default=None,
        group="count",
    ),
)
_VOLUMES = (
    Option(("--storage-class",), "StorageClass of the instances' volumes; default is Kubernetes' own", "NAME"),
    Option(("--pvc-size",), "size of each instance's volume; default is 10Gi", "SIZE"),
)

CREATE = Command(
    ("create", "cluster"),
    "create a PostgreSQL cluster with its Repository",
    "pgwarden.cli.cluster:create",
    (Argument("cluster", "name of the new cluster"),),
    (*_COUNT, *_VOLUMES, *FLAGS, *STORAGE, DRY_RUN, OUTPUT, *_WAITING),
    ("create cluster hippo --replica-count=2 --wait", f"create cluster hippo{S3_EXAMPLE}"),
)
CLONE = Command(
    ("clone",),
    "create a new cluster from the backups of another one, which is only read",
    "pgwarden.cli.cluster:clone",
    (
        Argument("source", "the PostgresCluster, or any Repository, to copy", names="repositories"),
        Argument("cluster", "name of the new cluster"),
    ),
    (
        Option(("--source-namespace",), "namespace of the source; default is the new cluster's", "NAME"),
        *RECOVERY_POINT,
        *(*_COUNT, *_VOLUMES, *FLAGS, *STORAGE, DRY_RUN, OUTPUT, *_WAITING),
    ),
    ('clone hippo rhino --pitr-target="2026-11-23 10:00:00+00" --wait',),
)
UPDATE = Command(
    ("update", "cluster"),
    "turn autofail on or off",
    "pgwarden.cli.cluster:update",
    (_CLUSTER,),
    (
        Option(
            ("--autofail",),
            "whether a replica takes over when the primary fails; a restore turns it off",
            choices=("true", "false", "on", "off"),
            required=True,
        ),
        DRY_RUN,
        OUTPUT,
    ),
    ("update cluster hippo --autofail=true",),
)
SCALE = Command(
    ("scale",),
    "change the number of instances; asks before it removes any",
    "pgwarden.cli.cluster:scale",
    (_CLUSTER,),
    (
        _REPLICAS,
        Option(
            ("--replica-count",),
            "number of replicas to add to those there are (in `create cluster`: replicas besides the primary)",
            "N",
            number=True,
            default=None,
            group="count",
        ),
        YES,
        DRY_RUN,
        OUTPUT,
    ),
    ("scale hippo --replicas=3", "scale hippo --replica-count=1"),
)
DELETE = Command(
    ("delete", "cluster"),
    "delete a cluster and its data; its backups stay",
    "pgwarden.cli.cluster:delete",
    (_CLUSTER,),
    (
        YES,
        Option(("--lift-protection",), "with --yes: also where deletionProtection is on", switch=True, default=False),
        Option(("--dry-run",), "delete nothing; say what would be deleted", switch=True, default=False),
    ),
)
