"""Every name, label, annotation, port and path that pgwarden puts into a cluster. Nothing else spells one.

Those of Backups that pgwarden itself asks for, again until one is complete, are in `numbered_backups`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Container
from datetime import datetime

GROUP = "pgwarden.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FIELD_MANAGER = "pgwarden"

# --- labels -------------------------------------------------------------------------------------------------
#: The one label a user sets: on a pod (template) it names the Repository, in the pod's namespace, that protects it.
LABEL_REPOSITORY = f"{GROUP}/repository"
#: Set by us on objects that we make for a Repository, Backup, schedule or Restore. Objects made for a Repository
#: carry LABEL_OWNER_REPOSITORY, never LABEL_REPOSITORY: that one selects PostgreSQL pods.
LABEL_OWNER_REPOSITORY = f"{GROUP}/for-repository"
LABEL_BACKUP = f"{GROUP}/backup"
LABEL_SCHEDULE = f"{GROUP}/schedule"
LABEL_RESTORE = f"{GROUP}/restore"
LABEL_DRILL = f"{GROUP}/drill"
#: host | backup | expire | restore, on the pods that pgwarden runs for a Repository.
LABEL_COMPONENT = f"{GROUP}/component"
#: Values of it: what answers for a Repository's storages, and what does so in its place, without the volume.
COMPONENT_HOST, COMPONENT_SPARE = "host", "spare"
#: And the Job by which a PostgresCluster begins as a copy.
COMPONENT_RECOVERY = "recovery"
#: The Job that starts what a RestoreDrill has restored, and checks it.
COMPONENT_DRILL = "drill"
#: On a volume claim that a Restore replaced and kept.
LABEL_KEPT_BY = f"{GROUP}/kept-by"
#: On all that is made for a PostgresCluster, and by Patroni for it; with LABEL_INSTANCE on what is one instance's.
LABEL_CLUSTER = f"{GROUP}/cluster"
LABEL_INSTANCE = f"{GROUP}/instance"
#: Kept by Patroni on the pods of a PostgresCluster: primary or replica.
LABEL_ROLE = f"{GROUP}/role"
MANAGED_BY = "app.kubernetes.io/managed-by"

# --- annotations --------------------------------------------------------------------------------------------
#: Set by the webhook on a pod it injected: hash of what was injected. Its absence on a labelled pod is reported.
ANNOTATION_INJECTED = f"{GROUP}/injected"
#: Set by the webhook: how to reach PostgreSQL in this pod, as JSON of api.kinds.PodFacts.
ANNOTATION_POSTGRES = f"{GROUP}/postgres"
#: Set by the webhook where the sidecar gets less than usual: what, and which quota leaves no more. For people.
ANNOTATION_SHRUNK = f"{GROUP}/shrunk"
#: Set on a Repository or a host pod template: hash of the configuration, so that a change rolls the pod.
ANNOTATION_CONFIG_HASH = f"{GROUP}/config-hash"
#: On a cluster's first Backup: the cluster's metadata.generation when it was asked for.
ANNOTATION_GENERATION = f"{GROUP}/generation"
#: Set on a workload while a Restore has stopped it: JSON with the Restore's name and the replicas it had.
ANNOTATION_STOPPED_BY = f"{GROUP}/stopped-by"
#: Beside it: the controller's seal on that text and this workload, which nobody else can make.
ANNOTATION_STOPPED_BY_SEAL = f"{GROUP}/stopped-by-seal"
#: On a PersistentVolume that a Restore has set to Retain: the reclaim policy that it had, and gets back.
ANNOTATION_RECLAIM = f"{GROUP}/reclaim-policy"
#: On the PersistentVolume that a Restore has restored into: that Restore's uid, once it has recovered or is undone.
#: Users cannot write there, and bring the Restore's mark back on the workload (`kubectl rollout undo`): that is over.
ANNOTATION_SETTLED_BY = f"{GROUP}/settled-by"
#: On Patroni's CLUSTER-config while its `initialize` is that of a restored cluster: `UID/IDENTIFIER`, the Restore that
#: wrote it and the system identifier before, which returns where that Restore is undone.
ANNOTATION_INITIALIZED_BEFORE = f"{GROUP}/initialized-before"
#: Set on a claim while a Restore waits until it is bound: when the binder was last reminded of it.
ANNOTATION_NUDGED = f"{GROUP}/nudged"
#: On a claim that a Restore has made: the uid of that Restore.
ANNOTATION_RESTORE_UID = f"{GROUP}/restore-uid"
#: Set by a user on a Repository, to `true`: it may be deleted although pods or Backups use it.
ANNOTATION_DELETE_IN_USE = f"{GROUP}/delete-in-use"
#: Set by a user on a Repository, or on the PostgresCluster that it is of, to the name of a storage: it may be taken out
#: of storageType although it holds backups.
ANNOTATION_GIVE_UP = f"{GROUP}/give-up-storage"
#: Set by a user on a Repository, to the label of a full backup on the local storage's volume: it is expired, with all
#: that build on it. For a volume that is full: after a backup retention does the same.
ANNOTATION_EXPIRE = f"{GROUP}/expire"
#: On a repository host's Deployment: what it has taken over from the PostgreSQL pods, as JSON of placement.Inherited.
ANNOTATION_TAKEN_OVER = f"{GROUP}/taken-over"
#: On the same: the generation of the Repository and a digest of its terms (what namespace and pods ask) it is made for.
ANNOTATION_MADE_FOR = f"{GROUP}/made-for"
#: Set on a Backup or RestoreDrill made by a schedule: the time it was due, RFC 3339.
ANNOTATION_DUE = f"{GROUP}/due"
#: On the volume claim of a PostgresCluster's first instance, to `own-repository`: it begins with what an earlier
#: cluster has left in the cluster's own Repository.
ANNOTATION_ORIGIN = f"{GROUP}/origin"
ORIGIN_OWN = "own-repository"
#: On the same claim: it is filled, and what the recovery came to, in a sentence.
ANNOTATION_FILLED = f"{GROUP}/filled"
#: On an instance's pod template: hash of all that takes a new pod to come into force.
ANNOTATION_TEMPLATE = f"{GROUP}/template"
#: On an instance's pod template: hash of the passwords that its Patroni was started with.
ANNOTATION_PASSWORDS = f"{GROUP}/passwords"
#: On an instance's pod template: raised to restart it for parameters that need that.
ANNOTATION_RESTARTED = f"{GROUP}/restarted"
#: On a Backup and a Restore: what it did, as JSON of api.records.Mark. One that comes back with it is a record.
ANNOTATION_DONE = f"{GROUP}/done"
#: Set by a user on a Backup or Restore that is made again: do it again. It counts for as long as the word is a new one.
#: Part of what is asked for, so that the same manifest with the same word is a record the next time.
ANNOTATION_RUN_AGAIN = f"{GROUP}/run-again"
#: On what a Restore leaves behind (its Backup, the claim it keeps): api.records.order_of that Restore.
ANNOTATION_RESTORE_ORDER = f"{GROUP}/restore-order"
#: On the Backup after a Restore: the timeline and the WAL position that PostgreSQL was on before it, and when it was
#: stopped (RFC 3339).
ANNOTATION_TIMELINE_BEFORE = f"{GROUP}/timeline-before"
ANNOTATION_LSN_BEFORE = f"{GROUP}/lsn-before"
ANNOTATION_STOPPED = f"{GROUP}/stopped"
#: The controller's seal on these, as anybody who may create Backups can write them.
ANNOTATION_RESTORE_SEAL = f"{GROUP}/restore-seal"
#: Finalizer on a Backup with deletionPolicy Delete: its set is expired before the object goes.
FINALIZER_EXPIRE = f"{GROUP}/expire"
#: Finalizer on a RestoreDrill: what was made for it goes before.
FINALIZER_DRILL = f"{GROUP}/clean-up-drill"
#: Finalizer on a PostgresCluster: its instances stop, and archive their last WAL, before the repository host goes.
FINALIZER_LAST_WAL = f"{GROUP}/archive-last-wal"
#: pgBackRest's own annotations on a backup set: uid and name of the Backup object that asked for it, and what it asked
#: for (api.records.order_of); the same of the Restore that it ended.
PGBACKREST_ANNOTATION_UID = "pgwarden-uid"
PGBACKREST_ANNOTATION_NAME = "pgwarden-name"
PGBACKREST_ANNOTATION_ORDER = "pgwarden-order"
#: NAMESPACE/NAME of the Repository that the set was made for: whose data it is, said where the bucket is all there is.
PGBACKREST_ANNOTATION_REPOSITORY = "pgwarden-repository"
PGBACKREST_ANNOTATION_SERVER = "pgwarden-server"
PGBACKREST_ANNOTATION_RESTORE_UID = "pgwarden-restore-uid"
PGBACKREST_ANNOTATION_RESTORE = "pgwarden-restore"
PGBACKREST_ANNOTATION_RESTORE_ORDER = "pgwarden-restore-order"
PGBACKREST_ANNOTATION_TIMELINE_BEFORE = "pgwarden-timeline-before"
PGBACKREST_ANNOTATION_LSN_BEFORE = "pgwarden-lsn-before"
PGBACKREST_ANNOTATION_STOPPED = "pgwarden-stopped"

# --- in a PostgreSQL pod, a repository host and a Job: the same paths everywhere -----------------------------
#: Where a pod's emptyDir is filled with the tools: TOOLS_DIR itself is the image's own copy there.
TOOLS_TARGET = "/pgwarden/tools-target"
TOOLS_DIR = "/pgwarden/tools"  # self-contained pgBackRest; its interpreter and rpath point here
PGBACKREST = f"{TOOLS_DIR}/bin/pgbackrest"
#: What PostgreSQL itself calls (archive_command, restore_command). It adopts pgBackRest's asynchronous child: else
#: PID 1 does, and where that is the postmaster, a child that failed makes it end every session (images/archive.c).
PGBACKREST_ARCHIVE = f"{TOOLS_DIR}/bin/pgbackrest-archive"
TOOLS_CA_BUNDLE = f"{TOOLS_DIR}/etc/ca-certificates.crt"
SOURCE_DIR = "/pgwarden/source"  # projected ConfigMap + Secret, read only, mounted in our own containers alone
CONF_DIR = "/pgwarden/conf"  # memory-backed copy of the source, 0600, what pgBackRest reads
CONF_FILE = f"{CONF_DIR}/pgbackrest.conf"
CONF_INCLUDE_DIR = f"{CONF_DIR}/conf.d"
WORK_DIR = "/pgwarden/work"  # spool, lock and log folders; on disk
SPOOL_DIR = f"{WORK_DIR}/spool"
LOCK_DIR = f"{WORK_DIR}/lock"
LOG_DIR = f"{WORK_DIR}/log"
GIVE_UP = f"{WORK_DIR}/give-up-archiving"  # touched: archive-push of before that is to end (images/adopter.c)
RUN_DIR = "/pgwarden/run"  # of a recovery: what the agent and the server beside it tell each other
TOKEN_DIR = "/pgwarden/token"  # noqa: S105  of the service account, with keyType web-id
REPO_DIR = "/pgwarden/repo"  # the local storage's volume, in the host and in backup Jobs

VOLUME_TOOLS = "pgwarden-tools"
VOLUME_SOURCE = "pgwarden-source"
VOLUME_CONF = "pgwarden-conf"
VOLUME_WORK = "pgwarden-work"
VOLUME_SOCKET = "pgwarden-socket"
VOLUME_RUN = "pgwarden-run"
VOLUME_REPO = "pgwarden-repo"
VOLUME_TMP = "pgwarden-tmp"
VOLUME_TOKEN = "pgwarden-token"  # noqa: S105  a volume's name
CONTAINER_TOOLS = "pgwarden-tools"
VOLUME_SERVER_SOURCE, VOLUME_SERVER_CONF = "pgwarden-server-source", "pgwarden-server-conf"
VOLUME_SERVER_WORK, VOLUME_SERVER_TMP = "pgwarden-server-work", "pgwarden-server-tmp"
CONTAINER_HOST = "pgbackrest"  # of the repository host
CONTAINER_SERVER = "server"  # of the same: pgBackRest's server for PostgreSQL's pods
CONTAINER_SIDECAR = "pgwarden"

# --- keys of the ConfigMap and Secret (and so the file names below SOURCE_DIR) --------------------------------
KEY_HOST_CONF = "host.conf"  # pgbackrest.conf of the repository host and of Jobs: whole
KEY_POD_CONF = "pod.conf"  # pgbackrest.conf of a PostgreSQL pod: [global]; the agent appends [stanza] from its env
KEY_SERVER_CONF = "server.conf"  # pgbackrest.conf of the host's server: the storage on its volume, and nothing else
KEY_CREDENTIALS_CONF = "credentials.conf"  # S3 keys and cipher passphrase, goes to CONF_INCLUDE_DIR
KEY_CA_CERT = "ca.crt"
KEY_TLS_CERT = "tls.crt"
KEY_TLS_KEY = "tls.key"
KEY_CA_KEY = "ca.key"  # only in the CA Secret, which no pod mounts
KEY_SEAL = "key"
KEY_STORAGE_CA = "storage-ca.crt"  # CA of the S3 endpoint, when caSecretRef is given

PORT_PGBACKREST = 8432
PORT_AGENT = 8433
CN_CONTROLLER = "pgwarden-controller"

#: The uid and gid of containers that are only ours (host, backup Job).
OWN_UID = 65532


_OF_AN_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_object_name(text: str) -> bool:
    """Whether Kubernetes lets an object have that name: a DNS subdomain of at most 253 characters."""
    return len(text) <= 253 and _OF_AN_OBJECT.fullmatch(text) is not None


def short(name: str, limit: int) -> str:
    """*name*, or where it is longer than *limit* its beginning and eight hex digits of its hash."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-.')}-{digest}"


def host(repository: str) -> str:
    """Deployment, Service, ConfigMap and Secret of the repository host. At most 63 characters, as a Service asks."""
    return f"{short(repository, 52)}-pgbackrest"


def spare_host(repository: str) -> str:
    """The Deployment that answers in the repository host's place while its volume keeps that from starting."""
    return f"{short(repository, 46)}-pgbackrest-spare"


def server(repository: str) -> str:
    """The Secret of the host's server, whose clients can read all that the server can."""
    return f"{short(repository, 45)}-pgbackrest-server"


def pods(repository: str) -> str:
    """The headless Service over, and the Secret for, the PostgreSQL pods of a Repository."""
    return f"{short(repository, 47)}-pgbackrest-pods"


def ca_secret(repository: str) -> str:
    return f"{short(repository, 49)}-pgbackrest-ca"


def repo_claim(repository: str) -> str:
    """The local storage's PersistentVolumeClaim. It has no owner: it outlives its Repository."""
    return f"{short(repository, 47)}-pgbackrest-repo"


def backup_job(backup: str) -> str:
    return f"{short(backup, 56)}-backup"


def expire_job(backup: str) -> str:
    return f"{short(backup, 56)}-expire"


def restore_job(restore: str) -> str:
    return f"{short(restore, 52)}-restore-1"


def drill(drill: str) -> str:
    """The Restore of a RestoreDrill, and the claim that it restores into."""
    return f"{short(drill, 46)}-drill"


def drill_checks(drill: str) -> str:
    """The Job with a RestoreDrill's checks, and the NetworkPolicy that closes its pod."""
    return f"{short(drill, 46)}-drill-checks"


def scheduled_backup(schedule: str, due: datetime) -> str:
    """Deterministic from schedule and due time (UTC seconds), so that two controllers cannot make it twice."""
    return f"{short(schedule, 40)}-{due:%Y%m%d%H%M%S}"


def scheduled_drill(schedule: str, due: datetime) -> str:
    """The same of a RestoreDrill. Short enough for the names of what it makes."""
    return f"{short(schedule, 31)}-{due:%Y%m%d%H%M%S}"


def restore_backup(restore: str) -> str:
    return f"{short(restore, 50)}-after"


def takeover(repository: str, born: int) -> str:
    """The Restore by which a Repository brings its data back over a new server, initialised at that Unix second."""
    return f"{short(repository, 34)}-recovery-{born:08x}"


def lost_volume_restore(cluster: str, claim_uid: str) -> str:
    """The Restore by which a PostgresCluster brings back what it has lost with that claim, its last."""
    return f"{short(cluster, 40)}-lost-{claim_uid[:8] or 'claim'}"


def restored_claim(restore: str) -> str:
    """The claim a restore Job writes into, before it takes the old claim's name."""
    return f"{short(restore, 50)}-restored"


def kept_claim(claim: str, restore: str) -> str:
    """The claim under which the old volume is kept."""
    return short(f"{claim}-before-{restore}", 63)


def failed_claim(claim: str, restore: str) -> str:
    """The claim under which a volume is kept that was restored, and on which PostgreSQL did not recover."""
    return short(f"{claim}-failed-{restore}", 63)


def free(name: str, taken: Container[str], limit: int = 63) -> str:
    """*name*, or the first of NAME-2, NAME-3 … that is not *taken*."""
    candidates = itertools.chain([name], (f"{short(name, limit - 4)}-{n}" for n in itertools.count(2)))
    return next(one for one in candidates if one not in taken)


def is_free_form(name: str, of: str, limit: int = 63) -> bool:
    """Whether *name* is one that `free` may have chosen for *of*."""
    return name == of or bool(re.fullmatch(re.escape(short(of, limit - 4)) + r"-[0-9]{1,3}", name))


def plan_seals(lease: str) -> str:
    """The Secret, in the release's namespace, with the key of ANNOTATION_STOPPED_BY_SEAL; its key is KEY_SEAL."""
    return f"{lease}-seal"


# --- PostgresCluster: its Repository has its name ---------------------------------------------------------------
CLUSTER_NAME_LIMIT = 40
CLUSTER_DATA = "/pgdata"  # the instance's volume
CLUSTER_PGDATA = f"{CLUSTER_DATA}/data"
CLUSTER_CONF = "/etc/pgwarden-cluster"  # what we render for Patroni
#: What a clone is restored from: the source's pgBackRest configuration (a Secret that is empty but while the clone is
#: made), and where it is restored to, before Patroni is told.
CLONE_SOURCE = "/etc/pgwarden-source"
CLONE_CONF_FILE = f"{CLONE_SOURCE}/pgbackrest.conf"
CLONE_PGDATA = f"{CLUSTER_DATA}/clone"
CLONE_WORK_DIR = f"{WORK_DIR}/clone"
KEY_CLONE_CONF, KEY_CLONE_NEEDS = "pgbackrest.conf", "needs"
#: What the image must have that the source has: controller/recovery/needs.py.
CLONE_NEEDS_FILE = f"{CLONE_SOURCE}/{KEY_CLONE_NEEDS}"
#: What an instance speaks TLS by: the Secret `instance_tls`, readable by PostgreSQL's group alone.
CLUSTER_TLS = "/etc/pgwarden-tls"
VOLUME_TLS = "tls"
#: Beside KEY_TLS_CERT and KEY_TLS_KEY, which PostgreSQL serves, and KEY_CA_CERT, which tells whether that is to be
#: believed: the instance's own, by the cluster's CA, for Patroni's REST and as a client of other instances.
KEY_INSTANCE_CERT, KEY_INSTANCE_KEY, KEY_INSTANCE_CA = "instance.crt", "instance.key", "instance-ca.crt"
PORT_POSTGRES = 5432
PORT_PATRONI = 8008


def instance(cluster: str, number: int) -> str:
    """Deployment and volume claim of one instance; numbers begin at 1."""
    return f"{cluster}-{number}"


def instance_of_pod(pod: str) -> str:
    """The Deployment that a pod of that name is of, be it still there or not."""
    return pod.rsplit("-", 2)[0]


def cluster_primary(cluster: str) -> str:
    return f"{cluster}-primary"


def cluster_replicas(cluster: str) -> str:
    return f"{cluster}-replicas"


def cluster_credentials(cluster: str) -> str:
    return f"{cluster}-credentials"


def cluster_patroni(cluster: str) -> str:
    """The ConfigMap that we render for Patroni. Its own are CLUSTER-config, -leader, -failover and -sync."""
    return f"{cluster}-patroni"


def instance_tls(cluster: str) -> str:
    """The Secret with the certificates that instances speak TLS by."""
    return f"{cluster}-instance-tls"


def instance_ca(cluster: str) -> str:
    """The Secret with the cluster's own CA, which no pod mounts."""
    return f"{cluster}-instance-ca"


def cn_instance(cluster: str) -> str:
    return f"{cluster}-instance"


def patroni_object(cluster: str, key: str) -> str:
    """Patroni's own ConfigMap of that key."""
    return f"{cluster}-{key}"


def cluster_bin(version: int) -> str:
    """Where an instance's image has the programs of that major version."""
    return f"/usr/lib/postgresql/{version}/bin"


def cluster_account(cluster: str) -> str:
    """ServiceAccount, Role and RoleBinding of the instances."""
    return f"{cluster}-instance"


def clone_secret(cluster: str) -> str:
    """The Secret with the configuration by which a cluster's data source is read."""
    return f"{cluster}-source"


def clone_job(cluster: str) -> str:
    """The Job that fills the first instance's volume, of a cluster that begins with data."""
    return f"{cluster}-recovery"


def host_dns(repository: str, namespace: str) -> str:
    return f"{host(repository)}.{namespace}.svc"


def pod_dns(repository: str, namespace: str, ip: str) -> str:
    """A name for any pod behind the headless Service, stable with its IP: CoreDNS answers dashed addresses there."""
    return f"{ip.replace('.', '-').replace(':', '-')}.{pods(repository)}.{namespace}.svc"


def pod_dns_wildcard(repository: str, namespace: str) -> str:
    return f"*.{pods(repository)}.{namespace}.svc"


def cn_host(repository: str) -> str:
    """The common name of the host's certificate, also used by backup Jobs. X.509 allows 64 characters."""
    return f"{short(repository, 55)}-host"


def cn_server(repository: str) -> str:
    """Of the host's server. No part of pgwarden lets a client of this name in."""
    return f"{short(repository, 55)}-server"


def cn_pods(repository: str) -> str:
    return f"{short(repository, 55)}-pods"


def stanza(repository: str, given: str = "") -> str:
    """*given* is the Repository's spec.stanza."""
    return given or repository
