#!/bin/sh
# The official image's data directory, which 18 changed; then its start.
set -eu
major=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ -z "${PGDATA:-}" ]; then
  PGDATA=/var/lib/postgresql/data
  [ "$major" -lt 18 ] || PGDATA=/var/lib/postgresql/$major/docker
fi
export PGDATA
exec docker-entrypoint.sh "$@"
