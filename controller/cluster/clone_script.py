"""The script that makes a clone: restored from its source and recovered, before Patroni is started. Pure text.

Patroni's own way (bootstrap.method) begins only when that is done, and moves the folder into place. A restore takes as
long as it takes, and Patroni does not get over one that is killed half way: it would wait for ever for the instance
that had begun (its key `initialize`). Here each start goes on where the one before ended.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.cluster import clone_needs
from pgwarden.api import names
from pgwarden.api.kinds import DataSource, RestoreSpec
from pgwarden.pgbackrest import commands, identity
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.storages import NAMES

#: How an attempt that failed says so in the pod's termination message; see clone.py.
FAILED_RESTORE, FAILED_RECOVERY = "clone: restore", "clone: recovery"
#: pgBackRest's HostConnectError: the host does not respond now. It is retried indefinitely.
AWAY = 49
#: pgBackRest was told to end, by a signal.
ENDED = 63

#: While it is there a clone is being made: stop.sh ends that.
PID_FILE = "/tmp/clone.pid"  # noqa: S108
#: How many attempts have failed, in this pod: its volume may be full.
FAILURES = "/tmp/clone.failures"  # noqa: S108

#: What the source's server was set to and would do harm here: what connects it, archives and follows is this cluster's.
#: archive_command empty: WAL of the new timeline waits in pg_wal until Patroni starts PostgreSQL with ours.
_SERVER = {
    "archive_command": "",
    "archive_mode": "on",
    "hba_file": "/tmp/clone_hba.conf",  # noqa: S108  an emptyDir of the pod's own
    "hot_standby": "off",
    "ident_file": "/tmp/clone_ident.conf",  # noqa: S108
    "listen_addresses": "",
    "local_preload_libraries": "",
    "log_destination": "stderr",
    "logging_collector": "off",
    "session_preload_libraries": "",
    "shared_preload_libraries": "",
    "unix_socket_directories": "/tmp",  # noqa: S108
}
#: Settings by ALTER SYSTEM that would win over Patroni's.
_NOT_OURS = "archive_|restore_command|recovery_|primary_|synchronous_standby_names|cluster_name|listen_addresses|port"

_CLONE = """\
#!/bin/sh
set -u
clone={clone} log=/tmp/clone.log
trap 'rm -f {pid}' EXIT
show() {{  # an S3 service repeats keys and signed requests in its answers
  sed -e '/<[A-Za-z]/d' -e '/[Cc]redential=/d' -e '/x-amz/d' "$log"
}}
fail() {{  # and for how often: an attempt counts for none that found nobody at the source, or that was ended or killed
  failures=$(cat {failures} 2> /dev/null)
  case $1 in
    "{failed_restore} {away}") failures=0 ;;
    "{failed_restore} {ended}" | "{failed_restore} "1[3-9]? | "{failed_restore} "12[89]) ;;
    *) failures=$((${{failures:-0}} + 1)) ;;
  esac
  echo "${{failures:=0}}" > {failures}
  printf '%s' "$1 ($failures): $2" | tr '\\n' ' ' | head -c 3000 > /dev/termination-log
  echo "$1: $2" >&2
  exit 1
}}
words() {{  # pgBackRest's own, and PostgreSQL's
  show | grep -E 'ERROR: \\[|HINT:' | sed -e 's/.*ERROR: /ERROR: /' -e 's/^ *//' | head -n 6
  grep -o '<Code>[A-Za-z]*</Code>' "$log" | head -n 1
  grep -E 'FATAL:|PANIC:' "$log" | sed -e 's/.*FATAL: /FATAL: /' -e 's/.*PANIC: /PANIC: /' | tail -n 2
}}
{wait}
needs=$({conf}/needs.sh) || fail "{failed_needs}" "$needs"
rm -rf "$PATRONI_POSTGRESQL_DATA_DIR.failed"
if [ ! -e "$clone.recovered" ] || [ ! -s "$clone/PG_VERSION" ]; then
  delta=
  if [ -s "$clone/PG_VERSION" ] || [ -e "$clone/backup.manifest" ]; then delta=--delta; else rm -rf "$clone"; fi
  mkdir -p "$clone" && chmod 700 "$clone"
  rm -f "$clone/postmaster.pid"
  {restore} > "$log" 2>&1 &
  echo $! > {pid}
  wait $!
  code=$?
  show
  [ $code = 0 ] || fail "{failed_restore} $code" "$(words)"
  # For pgbackrest-archive: the storage that it came from is the one whose errors are waited out. See archive.c.
  repo=$(sed -n 's/.* repo\\([0-9]*\\): restore backup set .*/\\1/p' "$log" | head -n 1)
  [ -z "$repo" ] || [ ! -e "$clone/recovery.signal" ] || echo "--repo=$repo" > "$clone/recovery.signal"
  : > "$log"
  # The source may have its configuration outside of the data directory: then these are defaults, and Patroni's.
  for file in postgresql.conf pg_ident.conf; do
    [ -e "$clone/$file" ] || install -m 600 /dev/null "$clone/$file"
  done
  echo 'local all all reject' > /tmp/clone_hba.conf
  : > /tmp/clone_ident.conf
  "$PGWARDEN_BIN/pg_ctl" -D "$clone" -s -w -t 86400 -l "$log" -o {options} start > /dev/null 2>&1
  code=$?
  # Without hot_standby pg_ctl waits for the begin of recovery alone; and a server that shuts down in it is a success.
  while [ $code = 0 ] && ! grep -q '^ready' "$clone/postmaster.pid" 2> /dev/null; do
    "$PGWARDEN_BIN/pg_ctl" -D "$clone" status > /dev/null || code=1
    sleep 1
  done
  show
  [ $code = 0 ] && [ ! -e "$clone/recovery.signal" ] || fail "{failed_recovery}" "$(words)"
  "$PGWARDEN_BIN/pg_ctl" -D "$clone" -s -w -t 3600 -m fast stop || fail "{failed_recovery}" "it did not stop afterwards"
  sed -i -E '/^ *({not_ours})/d' "$clone/postgresql.auto.conf"
  : > "$clone.recovered"
fi
"""

_STOP = """\
if [ -s {pid} ]; then
  kill "$(cat {pid})" 2> /dev/null
  "$PGWARDEN_BIN/pg_ctl" -D {clone} -m immediate -w -t 60 stop
  exit 0
fi
"""

#: What Patroni calls when it may initialise the cluster. It keeps its own variables (PATRONI_…) from what it calls.
_TAKE = """\
#!/bin/sh
set -e
[ -e {clone}.recovered ]
rmdir {data} 2> /dev/null || true
mv -T {clone} {data}
rm -f {clone}.recovered
"""


def stop_lines() -> str:
    """What stop.sh does first."""
    return _STOP.format(pid=PID_FILE, clone=names.CLONE_PGDATA)


@dataclass(frozen=True)
class Origin:
    """Where the data comes from: a stanza, as the program with its configuration reads it, and the point."""

    stanza: str
    program: tuple[str, ...]
    restore_command: str  # PostgreSQL's while it recovers
    configured: str  # the file that is there once pgBackRest is configured
    variables: Mapping[str, str] = field(default_factory=dict)  # in pgBackRest's environment
    wanted: RestoreSpec = field(default_factory=lambda: RestoreSpec(repository=""))


def of_source(source: DataSource) -> Origin:
    """Another cluster's Repository, by the Secret that is there while the clone is made."""
    stanza = names.stanza(source.repository)
    program = (names.PGBACKREST, f"--config={names.CLONE_CONF_FILE}")
    restore = commands.clone_restore_command(stanza)
    return Origin(stanza, program, restore, names.CLONE_CONF_FILE, wanted=source.as_restore())


def of_own(cluster: str, role: str) -> Origin:
    """The cluster's own Repository, by the configuration that the sidecar keeps, to its latest state."""
    stanza = names.stanza(cluster)
    program = tuple(commands.command_line([]))
    restore = commands.restore_command(stanza, role, names.CLONE_PGDATA)
    return Origin(stanza, program, restore, names.CONF_FILE, variables=identity.environment(role))


def files(origin: Origin, wait: str) -> dict[str, str]:
    """Name → text. *wait* is the line that waits until pgBackRest has its configuration."""
    wanted = origin.wanted
    options, _ = parse_options(wanted.options, command="restore", storages=NAMES)
    argv = commands.restore_argv(
        origin.stanza,
        target=wanted.target,
        timeline=wanted.target_timeline,
        backup_set=wanted.set,
        data_directory=names.CLONE_PGDATA,
        options=options,
        recovery_command=origin.restore_command,
    )
    said = ["--log-level-console=info", "--log-level-stderr=off"]
    line = [*origin.program, *said, *argv[:-1]]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(origin.variables.items())]
    server = " ".join(f"-c {name}={value}" for name, value in _SERVER.items())
    text = _CLONE.format(
        clone=names.CLONE_PGDATA,
        wait="\n".join([wait, *exports]),
        conf=names.CLUSTER_CONF,
        failed_needs=clone_needs.FAILED,
        restore=f"{shlex.join(line)} $delta restore",
        options=shlex.quote(server),
        failed_restore=FAILED_RESTORE,
        away=AWAY,
        ended=ENDED,
        failures=FAILURES,
        failed_recovery=FAILED_RECOVERY,
        not_ours=_NOT_OURS,
        pid=PID_FILE,
    )
    take = _TAKE.format(clone=names.CLONE_PGDATA, data=names.CLUSTER_PGDATA)
    return {"clone.sh": text, "take-clone.sh": take, "needs.sh": clone_needs.script()}
