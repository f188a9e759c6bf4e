"""A recovery: `python3 -m agent recover`, beside the workload's own PostgreSQL on a new volume.

It copies (`pgbackrest restore`), starts the server where nobody reaches it, replays WAL to the target, promotes, and
shuts down cleanly. Killed at any moment, it goes on from what lies on the volume and in RUN_DIR.

    python3 -m agent recover --pg-data DIR --volume-root DIR --uid UID [--bin DIR] [--tablespace DIR]... [--follow]
        [--preload LIB,LIB] [--target-time RFC3339] [--config FILE] [--copy] -- PGBACKREST RESTORE ARGS…

What its pod has to have
========================
The pod: `shareProcessNamespace: true` (the agent signals the server), `restartPolicy: Never`, `runAsUser`/`runAsGroup`
(and what the volume needs: fsGroup …) of PostgreSQL, seccomp RuntimeDefault, terminationGracePeriodSeconds 60, no label
that selects PostgreSQL pods.

| init container | image, command | mounts |
|---|---|---|
| `own` (where root must chown) | as in today's restore Job | data |
| `pgwarden-tools` | ours, `programs.INSTALL_TOOLS --to /pgwarden/tools-target` | tools at /pgwarden/tools-target |
| `pgbackrest`, restartPolicy Always | ours, `programs.RECOVER`, args as above | data (rw), VOLUME_SOURCE (ro), |
| | | VOLUME_CONF (rw), VOLUME_WORK, VOLUME_RUN, VOLUME_TMP at /tmp, identity.mounts() |

Its env: `environment.of_postgres(repository, facts)` and identity.environment(), as today's restore Job; with a time
that the storage is read as of also `commands.as_of()`, as in the server's container
(PGWARDEN_STANZA is read; the data directory is --pg-data). Port PORT_AGENT: `GET /status` with `recovery`, `POST
/recovery-finish`; it opens once the certificates are there (VOLUME_SOURCE). No startupProbe: the server's container may
start before it. With `--config FILE` that file is pgBackRest's whole configuration, of another Repository (its stanza
in PGWARDEN_STANZA), and has to be mounted in both containers, at the same path; VOLUME_SOURCE is then only for the
certificates of the door, and may hold nothing. With `--copy` it is to be a server of its own: what connected, archived
or followed as its source did is taken out of postgresql.auto.conf.

| container | |
|---|---|
| `postgres` | the workload's image; command `/bin/sh`, TOOLS_DIR/`programs.RECOVER_SCRIPT`; no args, no env |
| mounts | data (rw), VOLUME_TOOLS at TOOLS_DIR (ro), VOLUME_CONF at CONF_DIR (ro), VOLUME_WORK at WORK_DIR (rw), |
| | VOLUME_RUN at RUN_DIR (rw), VOLUME_TMP at /tmp (rw), identity.mounts() |
| security | the same uid and gid as `pgbackrest`; readOnlyRootFilesystem, all capabilities dropped: it needs none |
| resources | 256 MB and what the libraries of --preload take; shared_buffers are 128 MB |
| termination | terminationMessagePath as by default: the end is a `JobResult` there, and exit code 0 (ok) or 1 |

Volumes: VOLUME_RUN an emptyDir on disk, VOLUME_CONF in memory, the others emptyDirs; data directory and tablespaces at
the same paths in both containers.

How it ends: `postgres` exits 0 with `ok: true`, or 1 with `reason` (CamelCase; another attempt would end in the same
way) or without one (another pod may do better: the Job's backoffLimit counts). No termination message at all: the
container was killed (OOMKilled), or the image has no /bin/sh (StartError): that is the controller's to tell.
"""
