"""What the command line can say of a bucket."""

from __future__ import annotations

from pgwarden.storages.flags import Flag

#: The access key and the secret key: by themselves, in a file, or in a Secret that is there.
KEY = Flag("s3-key", "access key; the secret key is then prompted for. Or --pgbackrest-s3-keys-from", "KEY")
#: In the arguments of a process, and in the shell's history: it is taken, and not offered.
KEY_SECRET = Flag("s3-key-secret", "secret key; prompted for if omitted", "SECRET", hidden=True)
KEYS_FROM = Flag("s3-keys-from", "file with both keys: AWS credentials, or two lines; - is standard input", "FILE")
SECRET = Flag(
    "s3-secret",
    "existing Secret with the keys s3-key and s3-key-secret",
    "NAME",
    field="credentialsSecretRef",
    names_secret=True,
)
POD_SECRET = Flag(
    "s3-pod-secret",
    "existing Secret with keys that may not delete, for PostgreSQL's pods",
    "NAME",
    field="podCredentialsSecretRef",
    names_secret=True,
)
CLONE_SECRET = Flag(
    "s3-clone-secret",
    "existing Secret with keys that may only read, for clones",
    "NAME",
    field="cloneCredentialsSecretRef",
    names_secret=True,
)
FLAGS = (
    Flag("s3-bucket", "the bucket; default is the chart's s3.bucket", "NAME", field="bucket"),
    Flag("s3-endpoint", "host of the S3 service; default is the chart's s3.endpoint", "HOST", field="endpoint"),
    Flag("s3-region", "its region; default is the chart's s3.region", "REGION", field="region"),
    Flag("s3-path", "folder in the bucket; default is one of its own", "PATH", field="path"),
    Flag(
        "s3-uri-style",
        "path for MinIO, Ceph and most others; default is host, for AWS",
        choices=("host", "path"),
        field="uriStyle",
    ),
    Flag(
        "s3-ca-secret",
        "Secret whose ca.crt signed the service's certificate",
        "NAME",
        field="caSecretRef",
        names_secret=True,
    ),
    KEY,
    KEY_SECRET,
    KEYS_FROM,
    SECRET,
    POD_SECRET,
    CLONE_SECRET,
)
