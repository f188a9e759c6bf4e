"""The scripts that an instance runs; they are in the cluster's ConfigMap. Pure text."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from controller.cluster import keep_place
from controller.patroni import APPLICATION, LEADER, role
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec, RepositorySpec
from pgwarden.pgbackrest import commands, identity
from pgwarden.pgbackrest.config import ARCHIVE_IO_SECONDS

#: The sidecar writes pgBackRest's configuration in its first seconds, beside which we start.
_CONFIGURED = "until [ -s {file} ]; do sleep 0.2; done"

#: Patroni's configuration where it is more than what is in the ConfigMap: of an instance with certificates, and for a
#: start beside a primary that runs.
_BEGUN = "/tmp/patroni"  # noqa: S108  an emptyDir of the pod's own

#: From the repository, not from the primary: only what has changed since the last backup comes by WAL.
_REPLICA = """\
#!/bin/sh
{wait}
{variables}{command}
"""

#: The kernel keeps from process 1 each signal that it has no handler for, so a pod that is ended in its first seconds,
#: or while it recovers, would run on to the end of its grace. This shell has handlers, and all that works is its child;
#: with it ends the rest. While it waits it also buries the processes that nobody else waits for.
#: A signal ends `wait` with a code of its own, so only a wait in which none was heard is the last. It is not asked
#: whether the child is there: the shell may have buried it, and keeps its code for `wait` alone (then 127).
_START = """\
#!/bin/sh
child= heard=
trap 'heard=yes; [ -z "$child" ] || kill -TERM "$child" 2> /dev/null' TERM INT
{conf}/begin.sh &
child=$!
[ -z "$heard" ] || kill -TERM "$child" 2> /dev/null
code=127
while :; do
  heard=
  wait "$child"
  one=$?
  [ "$one" = 127 ] || code=$one
  [ -n "$heard" ] || exit "$code"
done
"""

#: Of a pod that is deleted the next one is made at once, while PostgreSQL may still run in it: so begin.sh, and what it
#: starts, holds a lock on the volume's root. PostgreSQL's own (postmaster.pid) is blind to processes of another pod.
#: What a Restore has put there recovers before Patroni looks at it: Patroni would take the recovery for a replica's.
#: While autofail is off (Patroni's pause) Patroni starts no PostgreSQL, and leaves one running at its own end. So an
#: instance whose pod was replaced is started here: the one that was the primary, or a replica. Any other that has no
#: standby.signal stays down, as it could be a second primary. What a Restore has put there has the parameters and the
#: pg_hba.conf of its backup: the primary is given those of now, or Patroni would have it restarted for them at once.
#: A Patroni that joins a running primary writes pg_hba.conf, reloads, and sleeps for a second before it takes the lock
#: (ConfigHandler.reload_config): a second in which nobody can write. So here it begins without `pg_hba`, which is in
#: place already, and is told to read its configuration again when it answers.
#: An instance with certificates has `tls` for Patroni, too. One that an earlier release has made passes that by.
#: What runs beside Patroni is a child of process 1, which buries it.
_BEGIN = """\
#!/bin/sh
set -eu
data=$PATRONI_POSTGRESQL_DATA_DIR conf={conf} scheme=http
if [ -s {tls}/{key} ]; then
  conf={begun} scheme=https
  mkdir -p $conf
  rm -f $conf/start.yml
  ln -sf {conf}/patroni.yml {conf}/bootstrap.yml $conf
  ln -sf {conf}/tls $conf/tls.yml
fi
exec 9< {volume}
if ! flock -n 9; then
  echo "waiting for the pod before, which still works on the volume" >&2
  flock 9 && code=0 || code=$?
  [ $code -lt 128 ] || exit 1  # that wait was ended
  [ $code = 0 ] || echo "the volume cannot be locked; going on without" >&2
fi
if [ -s "$data/PG_VERSION" ] && [ -e "$data/recovery.signal" ]; then
  {wait}
  rm -f "$data/postmaster.pid"
  "$PGWARDEN_BIN/pg_ctl" -D "$data" -s -w -t 86400 start || exit 1
  while [ -e "$data/recovery.signal" ]; do
    "$PGWARDEN_BIN/pg_ctl" -D "$data" status > /dev/null || {{ echo "PostgreSQL ended during recovery" >&2; exit 1; }}
    sleep 1
  done
elif [ -s "$data/PG_VERSION" ] && [ "$(cat {conf}/autofail)" = off ]; then
  if [ -e "$data/standby.signal" ]; then
    rm -f "$data/postmaster.pid"
    "$PGWARDEN_BIN/pg_ctl" -D "$data" -s -w -t 3600 start || echo "PostgreSQL did not start" >&2
  elif [ "$(cat {conf}/primary)" = "$PGWARDEN_INSTANCE" ]; then
    rm -f "$data/postmaster.pid"
    cat {conf}/access > "$data/pg_hba.conf" || :
    before=$data/postgresql.conf.before
    cp "$data/postgresql.conf" "$before" || :
    cat {conf}/parameters >> "$data/postgresql.conf" || :
    [ $scheme = http ] || cat {conf}/tls-parameters >> "$data/postgresql.conf" || :
    if ! "$PGWARDEN_BIN/pg_ctl" -D "$data" -s -w -t 3600 start; then
      mv "$before" "$data/postgresql.conf" || :
      "$PGWARDEN_BIN/pg_ctl" -D "$data" -s -w -t 3600 start || echo "PostgreSQL did not start" >&2
    fi
    rm -f "$before"
    begun={begun}
    if mkdir -p $begun && ln -sf {conf}/patroni.yml {conf}/bootstrap.yml $begun &&
      printf 'postgresql:\\n  pg_hba: []\\n' > $begun/start.yml; then
      conf=$begun
      ({conf}/read-again.sh $$ $begun/start.yml 9<&- &)
    fi
  fi
fi
python=$(sed -n '1s/^#! *//p;q' "$(command -v patroni)")
case $python in *python*) ;; *) python=python3 ;; esac
($python {conf}/keep_place.py {leader} $scheme 9<&- &)
[ $scheme = http ] || ({conf}/renew.sh $$ 9<&- &)
exec patroni $conf
"""

#: Of a Patroni that has begun with one file more. It answers just before its first look, which is let pass.
_READ_AGAIN = """\
#!/bin/sh
while sleep 5; do
  ! grep -qs ':{port:04X} 0*:0000 0A' /proc/net/tcp /proc/net/tcp6 || break
done
rm -f "$2"
kill -HUP "$1"
"""

#: Beside Patroni, for as long as that runs. It reads its configuration again, and with it PostgreSQL its own, when a
#: certificate or `tls` is another than it began with. A signal before Patroni listens would end it.
_RENEW = """\
#!/bin/sh
seen() (cat {conf}/tls {tls}/* | sha256sum)
before=$(seen)
while sleep 5; do
  now=$(seen)
  [ "$now" != "$before" ] || continue
  grep -qs ':{port:04X} 0*:0000 0A' /proc/net/tcp /proc/net/tcp6 || continue
  kill -HUP "$1" || exit
  before=$now
done
"""

_STOP = """\
#!/bin/sh
if [ "$(cat {conf}/autofail)" = off ]; then
  "$PGWARDEN_BIN/pg_ctl" -D "$PATRONI_POSTGRESQL_DATA_DIR" -m fast -w -t 100 stop
fi
exit 0
"""

#: What Patroni calls when it may initialise a cluster that begins with data: a recovery has filled the folder beside.
#: The source may have its configuration outside of the data directory: then these are defaults, and Patroni's. What
#: Patroni has given up, after a bootstrap that broke off, is taken once more. Patroni keeps its own variables
#: (PATRONI_…) from what it calls.
_TAKE = """\
#!/bin/sh
set -e
[ -s {clone}/PG_VERSION ] || mv -T {data}.failed {clone}
for file in postgresql.conf pg_ident.conf; do
  [ -e {clone}/$file ] || install -m 600 /dev/null {clone}/$file
done
rmdir {data} 2> /dev/null || true
mv -T {clone} {data}
"""

#: Patroni makes the roles that it needs; this one is for whoever uses the database. A clone may have it already. The
#: password goes into no log. A clone's database may set a search_path: no name is found by that.
_AFTER_BOOTSTRAP = """\
#!/bin/sh
exec "$PGWARDEN_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$1" <<'SQL'
SET search_path = pg_catalog;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\\getenv password PGWARDEN_APP_PASSWORD
SELECT 'CREATE ROLE {user}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec
ALTER ROLE {user} LOGIN PASSWORD :'password';
SELECT 'CREATE DATABASE {user} OWNER {user}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{user}') \\gexec
SQL
"""


def files(cluster: str, spec: PostgresClusterSpec, *, own: bool = False) -> dict[str, str]:
    """Name → text, for the ConfigMap. *own*: it begins with what its own Repository holds."""
    wait = _CONFIGURED.format(file=names.CONF_FILE)
    variables = "".join(f"export {n}={shlex.quote(v)}\n" for n, v in identity.environment(role(spec)).items())
    begins_with_data = own or spec.data_source is not None
    take = {"take-clone.sh": _TAKE.format(clone=names.CLONE_PGDATA, data=names.CLUSTER_PGDATA)}
    return (take if begins_with_data else {}) | {
        "start.sh": _START.format(conf=names.CLUSTER_CONF),
        "begin.sh": _BEGIN.format(
            conf=names.CLUSTER_CONF,
            wait=wait,
            volume=names.CLUSTER_DATA,
            begun=_BEGUN,
            tls=names.CLUSTER_TLS,
            key=names.KEY_INSTANCE_KEY,
            leader=names.patroni_object(cluster, LEADER),
        ),
        "keep_place.py": Path(keep_place.__file__).read_text(encoding="utf-8"),
        "read-again.sh": _READ_AGAIN.format(port=names.PORT_PATRONI),
        "renew.sh": _RENEW.format(conf=names.CLUSTER_CONF, tls=names.CLUSTER_TLS, port=names.PORT_PATRONI),
        "replica.sh": _REPLICA.format(wait=wait, command=_replica(cluster, spec), variables=variables),
        "stop.sh": _STOP.format(conf=names.CLUSTER_CONF),
        "after-bootstrap.sh": _AFTER_BOOTSTRAP.format(user=APPLICATION),
    }


def _replica(cluster: str, spec: PostgresClusterSpec) -> str:
    """pgBackRest ends where the first storage does not answer, though the next one has the backup: each is tried, and
    all but the last for a quarter of a minute.
    """
    options = ["--delta", "--type=standby", f"--pg1-path={names.CLUSTER_PGDATA}", "--log-level-console=info"]
    of_stanza = f"--stanza={names.stanza(cluster)}"
    storages = msgspec.convert(spec.repository, RepositorySpec).storages
    if len(storages) == 1:
        return f"exec {' '.join(commands.command_line([of_stanza, *options, 'restore']))}"
    soon = f"--io-timeout={ARCHIVE_IO_SECONDS}"
    each = [[f"--repo={number}", *([soon] if number < len(storages) else [])] for number in range(1, len(storages) + 1)]
    return " ||\n  ".join(" ".join(commands.command_line([of_stanza, *options, *one, "restore"])) for one in each)
