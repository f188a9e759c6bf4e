#!/bin/sh
# Bitnami's habits: whatever the arguments, the server is started with a configuration outside of the data directory;
# its socket is in /tmp, and the superuser needs a password there, too. Files in conf.d of that folder are included.
set -eu
conf=/opt/bitnami/postgresql/conf
mkdir -p "$conf/conf.d"
cat > "$conf/pg_hba.conf" <<HBA
host all all 0.0.0.0/0 md5
host all all ::/0 md5
local all all md5
HBA
cat > "$conf/postgresql.conf" <<CONF
listen_addresses = '*'
port = ${POSTGRESQL_PORT_NUMBER:-5432}
unix_socket_directories = '/tmp'
hba_file = '$conf/pg_hba.conf'
include_dir = 'conf.d'
CONF
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=$(mktemp)
  printf '%s\n' "$POSTGRESQL_PASSWORD" > "$password"
  initdb -D "$PGDATA" --username=postgres --pwfile="$password" > /dev/null
  rm -f "$password" "$PGDATA/postgresql.conf" "$PGDATA/pg_hba.conf"
fi
chmod 0700 "$PGDATA"
exec postgres -D "$PGDATA" "--config-file=$conf/postgresql.conf" "--hba_file=$conf/pg_hba.conf"
