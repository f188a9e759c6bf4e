#!/bin/sh
# The start of the PostgreSQL images that the tests use, glibc and musl alike.
#
# It keeps the contract of the official image, which pgwarden's injection relies on: started as root it
# prepares the folders and becomes `postgres`, started as any other uid it stays that; an empty PGDATA is
# initialised with the POSTGRES_* variables, by a temporary server that gets the same arguments as the
# real one (so archive_command already runs then); /docker-entrypoint-initdb.d is run; `-c x=y` alone means
# `postgres -c x=y`.
set -eu

init_folder=/docker-entrypoint-initdb.d

log() { printf '%s\n' "docker-entrypoint: $*" >&2; }
die() { log "error: $*"; exit 1; }

# from_file NAME DEFAULT: NAME, or the content of the file that NAME_FILE names, or DEFAULT.
from_file() {
  eval "value=\${$1:-}" "file=\${$1_FILE:-}"
  if [ -n "$value" ] && [ -n "$file" ]; then
    die "both $1 and $1_FILE are set"
  fi
  if [ -n "$file" ]; then
    value=$(cat "$file")
  fi
  export "$1=${value:-$2}"
  unset "$1_FILE"
}

prepare_folders() {
  mkdir -p "$PGDATA" /var/run/postgresql
  chmod 0700 "$PGDATA" 2>/dev/null || true
  chmod 3777 /var/run/postgresql 2>/dev/null || true
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  fi
}

# Replaces this process by the same command as `postgres`; busybox's setpriv cannot change the uid.
become_postgres() {
  if setpriv --help 2>&1 | grep -q -- --reuid; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  # shellcheck disable=SC2016  # the inner shell expands it
  exec su -m -s /bin/sh -c 'exec "$0" "$@"' -- postgres "$0" "$@"
}

# True if the arguments ask postgres for an answer, not for a server.
only_asks() {
  for argument in "$@"; do
    case $argument in
      -'?' | --help | --describe-config | -V | --version | -C | --single | --boot) return 0 ;;
    esac
  done
  return 1
}

initialise() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    die "POSTGRES_PASSWORD is empty; set it, or POSTGRES_HOST_AUTH_METHOD=trust"
  fi
  password_file=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$password_file"
  password_option=
  if [ -n "$POSTGRES_PASSWORD" ]; then
    password_option=--pwfile=$password_file
  fi
  # The arguments are words by contract, as in the official image: "--data-checksums --wal-segsize=1".
  # shellcheck disable=SC2086
  initdb -D "$PGDATA" --username="$POSTGRES_USER" $password_option ${POSTGRES_INITDB_ARGS:-}
  rm -f "$password_file"
  method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption -D "$PGDATA")}
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

# Statements of a file or of standard input, in database $1. Without psql (the musl image) they go through
# the single-user server, before the temporary one starts.
run_sql() {
  if command -v psql > /dev/null; then
    PGPASSWORD='' PGHOST='' psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$1"
  else
    postgres --single -j -D "$PGDATA" "$1" > /dev/null
  fi
}

create_database() {
  if [ "$POSTGRES_DB" != postgres ]; then
    printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | run_sql postgres
  fi
}

run_init_sql() {
  for file in "$init_folder"/*.sql; do
    [ -e "$file" ] || continue
    log "running $file"
    run_sql "$POSTGRES_DB" < "$file"
  done
}

run_init_scripts() {
  for file in "$init_folder"/*.sh; do
    [ -e "$file" ] || continue
    log "running $file"
    if [ -x "$file" ]; then
      "$file"
    else
      # shellcheck disable=SC1090
      . "$file"
    fi
  done
}

# quoted ARGUMENT…: one line that a shell reads back as the same words, as pg_ctl -o wants it.
quoted() {
  for argument in "$@"; do
    printf " '%s'" "$(printf '%s' "$argument" | sed "s/'/'\\\\''/g")"
  done
}

with_temporary_server() {
  if [ "${1:-}" = postgres ]; then
    shift
  fi
  if ! command -v psql > /dev/null; then
    create_database
    run_init_sql
  fi
  set -- "$@" -c listen_addresses='' -p "${PGPORT:-5432}"
  NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$(quoted "$@")" -w start
  if command -v psql > /dev/null; then
    create_database
    run_init_sql
  fi
  run_init_scripts
  pg_ctl -D "$PGDATA" -m fast -w stop
  log "initialised; ready to start"
}

main() {
  case ${1:-postgres} in
    -*) set -- postgres "$@" ;;
  esac
  if [ "${1:-}" != postgres ] || only_asks "$@"; then
    exec "$@"
  fi
  prepare_folders
  if [ "$(id -u)" = 0 ]; then
    become_postgres "$@"
  fi
  from_file POSTGRES_PASSWORD ''
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initialise
    with_temporary_server "$@"
  fi
  exec "$@"
}

main "$@"
