"""The three scripts that an instance runs; they are in the cluster's ConfigMap. Pure text."""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.controller.cluster.patroni import APPLICATION

#: While autofail is off (Patroni's pause) Patroni starts no PostgreSQL, and leaves one running at its own end. So an
#: instance whose pod was replaced is started here: the one that was the primary, or a replica. Any other that has no
#: standby.signal stays down, as it could be a second primary.
_START = """\
#!/bin/sh
set -eu
data=$PATRONI_POSTGRESQL_DATA_DIR
if [ -s "$data/PG_VERSION" ] && [ "$(cat {conf}/autofail)" = off ]; then
  if [ -e "$data/standby.signal" ] || [ "$(cat {conf}/primary)" = "$PGWARDEN_INSTANCE" ]; then
    rm -f "$data/postmaster.pid"  # of a container that is gone: the volume is this instance's alone
    "$PGWARDEN_BIN/pg_ctl" -D "$data" -w -t 3600 start || echo "PostgreSQL did not start; Patroni shows its state" >&2
  fi
fi
exec patroni {conf}
"""

_STOP = """\
#!/bin/sh
if [ "$(cat {conf}/autofail)" = off ]; then
  "$PGWARDEN_BIN/pg_ctl" -D "$PATRONI_POSTGRESQL_DATA_DIR" -m fast -w -t 100 stop
fi
exit 0
"""

#: Patroni makes the roles that it needs; this one is for whoever uses the database.
_AFTER_INITDB = """\
#!/bin/sh
exec "$PGWARDEN_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$1" <<'SQL'
\\getenv password PGWARDEN_APP_PASSWORD
CREATE ROLE {user} LOGIN PASSWORD :'password';
CREATE DATABASE {user} OWNER {user};
SQL
"""


def files() -> dict[str, str]:
    """Name → text, for the ConfigMap."""
    return {
        "start.sh": _START.format(conf=names.CLUSTER_CONF),
        "stop.sh": _STOP.format(conf=names.CLUSTER_CONF),
        "after-initdb.sh": _AFTER_INITDB.format(user=APPLICATION),
    }
