"""The commands about clusters that pgwarden runs, with the seed's flags under the seed's names."""

from __future__ import annotations

from pgwarden.cli.shared_options import RECOVERY_POINT, YES
from pgwarden.cli.spec import Argument, Command, Option

_CLUSTER = Argument("cluster", "name of the PostgresCluster", names="postgresclusters")
_DRY_RUN = Option(
    ("--dry-run",),
    "change nothing and print the resource; `server` has the cluster check it too",
    choices=("client", "server"),
    bare="client",
)
_OUTPUT = Option(("-o", "--output"), "print the resource itself", choices=("yaml", "json", "name"))
_WAITING = (
    Option(("-w", "--wait"), "show progress until the cluster is Ready; Ctrl-C leaves it going on", switch=True),
    Option(("--timeout",), "with --wait: give up looking after this many seconds", "SECONDS", number=True, default=0),
)
_COUNT = (
    Option(("--replicas",), "instances in all, the primary among them", "N", number=True, default=0, group="count"),
    Option(("--replica-count",), "replicas beside the primary", "N", number=True, default=None, group="count"),
)
_VOLUMES = (
    Option(("--storage-class",), "StorageClass of the instances' volumes; default is the cluster's", "NAME"),
    Option(("--pvc-size",), "size of each instance's volume; default is 10Gi", "SIZE"),
)
_STORAGE = (
    Option(
        ("--pgbackrest-storage-type",),
        "where backups and WAL go; default is local",
        choices=("local", "s3", "local,s3"),
    ),
    Option(("--pgbackrest-storage-class",), "StorageClass of the local storage", "NAME"),
    Option(("--pgbackrest-pvc-size",), "size of the local storage's volume; default is 10Gi", "SIZE"),
)
_S3 = (
    Option(("--pgbackrest-s3-bucket",), "the bucket; default is the operator's", "NAME"),
    Option(("--pgbackrest-s3-endpoint",), "the S3 service; default is the operator's", "HOST"),
    Option(("--pgbackrest-s3-region",), "its region; default is the operator's", "REGION"),
    Option(("--pgbackrest-s3-path",), "a folder in the bucket; default is one of the cluster's own", "PATH"),
    Option(("--pgbackrest-s3-uri-style",), "how the bucket is addressed; default is host", choices=("host", "path")),
    Option(("--pgbackrest-s3-ca-secret",), "Secret whose ca.crt has signed the service's certificate", "NAME"),
    Option(("--pgbackrest-s3-key",), "the access key; others on this machine can see it, so rather:", "KEY"),
    Option(("--pgbackrest-s3-key-secret",), "the secret key; where it is missing it is asked for, unseen", "SECRET"),
    Option(("--pgbackrest-s3-keys-from",), "file with both keys, as AWS' credentials or two lines; - is stdin", "FILE"),
    Option(("--pgbackrest-s3-secret",), "a Secret that is there already, with s3-key and s3-key-secret", "NAME"),
)
_SHOW_KEYS = Option(("--show-keys",), "with --dry-run: print the Secret with the keys, too", switch=True)
_S3_EXAMPLE = (
    "create cluster hippo --pgbackrest-storage-type=local,s3 --pgbackrest-s3-bucket=backups"
    " --pgbackrest-s3-endpoint=s3.eu-central-1.amazonaws.com --pgbackrest-s3-region=eu-central-1"
    " --pgbackrest-s3-keys-from=$HOME/.aws/credentials"
)

CREATE = Command(
    ("create", "cluster"),
    "make a PostgreSQL cluster with its Repository",
    "pgwarden.cli.cluster:create",
    (Argument("cluster", "name of the new cluster"),),
    (*_COUNT, *_VOLUMES, *_STORAGE, *_S3, _SHOW_KEYS, _DRY_RUN, _OUTPUT, *_WAITING),
    ("create cluster hippo --replica-count=2 --wait", _S3_EXAMPLE),
)
CLONE = Command(
    ("clone",),
    "make a new cluster as a copy of another one's backups; the other is only read",
    "pgwarden.cli.cluster:clone",
    (
        Argument("source", "the PostgresCluster, or any Repository, to copy", names="repositories"),
        Argument("cluster", "name of the new cluster"),
    ),
    (
        Option(("--source-namespace",), "its namespace; default is the new cluster's own", "NAME"),
        *RECOVERY_POINT,
        *(*_COUNT, *_VOLUMES, *_STORAGE, *_S3, _SHOW_KEYS, _DRY_RUN, _OUTPUT, *_WAITING),
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
            "whether a replica takes over by itself; a restore leaves it off",
            choices=("true", "false"),
            required=True,
        ),
        _DRY_RUN,
        _OUTPUT,
    ),
    ("update cluster hippo --autofail=true",),
)
SCALE = Command(
    ("scale",),
    "change the number of instances; asks where instances go with their volumes",
    "pgwarden.cli.cluster:scale",
    (_CLUSTER,),
    (
        _COUNT[0],
        Option(("--replica-count",), "so many more than there are", "N", number=True, default=None, group="count"),
        YES,
        _DRY_RUN,
        _OUTPUT,
    ),
    ("scale hippo --replicas=3", "scale hippo --replica-count=1"),
)
DELETE = Command(
    ("delete", "cluster"),
    "end a cluster and delete its data; its backups stay",
    "pgwarden.cli.cluster:delete",
    (_CLUSTER,),
    (YES, Option(("--dry-run",), "delete nothing and say what would go", switch=True, default=False)),
)
