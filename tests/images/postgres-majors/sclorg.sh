#!/bin/sh
# The habits of sclorg's image: a data directory `userdata` below the volume, of mode 0700, which no variable names.
set -eu
data=/var/lib/pgsql/data/userdata
if [ ! -s "$data/PG_VERSION" ]; then
  password=$(mktemp)
  printf '%s\n' "$POSTGRESQL_ADMIN_PASSWORD" > "$password"
  initdb -D "$data" --username=postgres --pwfile="$password" > /dev/null
  rm -f "$password"
  printf '%s\n' 'local all all trust' 'host all all 127.0.0.1/32 trust' 'host all all all md5' \
    > "$data/pg_hba.conf"
  printf "listen_addresses = '*'\nunix_socket_directories = '/var/run/postgresql'\n" >> "$data/postgresql.conf"
fi
chmod 0700 "$data"
exec postgres -D "$data"
