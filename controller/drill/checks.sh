# Starts what was restored where nobody reaches it, and checks it. It runs in the workload's own image, by its /bin/sh.
# Each line of the termination message is OUTCOME, NAME and MESSAGE with tabs between; the last one is `end`.
set -u
# Of several sources the last that is there.
number=2
while [ $number -le 16 ]; do
  eval "DRILL_USER=\${DRILL_USER_$number-\${DRILL_USER-}}"
  number=$((number + 1))
done
export LC_ALL=C HOME=/tmp PGHOST=/tmp PGUSER="${DRILL_USER:-postgres}" PGCONNECT_TIMEOUT=10
report=/dev/termination-log

say() { # OUTCOME NAME MESSAGE
  text=$(printf '%s' "$3" | tr '\n\t' '  ')
  printf '%s\t%s\t%.160s\n' "$1" "$2" "$text" | tee -a "$report"
}
finish() {
  [ -z "${server:-}" ] || { kill -INT "$server" 2> /dev/null; wait "$server"; }
  printf 'end\n' >> "$report"
  exit 0
}

IFS= read -r major < "$DRILL_DATA/PG_VERSION"
bin=
for folder in "$DRILL_BIN" "/usr/lib/postgresql/$major/bin" "/usr/pgsql-$major/bin" /opt/bitnami/postgresql/bin \
  "/usr/libexec/postgresql$major" /usr/local/bin /usr/local/pgsql/bin /usr/bin; do
  [ -z "$bin" ] && [ -n "$folder" ] && [ -x "$folder/postgres" ] && [ -x "$folder/psql" ] && bin=$folder
done
[ -n "$bin" ] || { say Failed pgwarden/start "postgres and psql of PostgreSQL $major are not in this image"; finish; }
PATH=$bin:$PATH

if [ -x "$bin/pg_checksums" ]; then
  if found=$(pg_checksums --check -D "$DRILL_DATA" 2>&1); then
    say Passed pgwarden/checksums "$(printf '%s' "$found" | grep -i 'blocks scanned')"
  else
    case $found in
      *"not enabled"*) say Skipped pgwarden/checksums "data checksums are not enabled" ;;
      *) say Failed pgwarden/checksums "$found" ;;
    esac
  fi
else
  say Skipped pgwarden/checksums "pg_checksums is not in this image"
fi

: > /tmp/postgresql.conf
: > /tmp/ident.conf
echo "local all all trust" > /tmp/hba.conf
rm -f "$DRILL_DATA/postmaster.pid"
postgres -D "$DRILL_DATA" -c config_file=/tmp/postgresql.conf -c hba_file=/tmp/hba.conf -c ident_file=/tmp/ident.conf \
  -c listen_addresses= -c unix_socket_directories=/tmp -c port=5432 -c external_pid_file= \
  -c archive_mode=off -c archive_command= -c restore_command= -c primary_conninfo= -c ssl=off \
  -c shared_preload_libraries="$DRILL_PRELOAD" -c local_preload_libraries= -c session_preload_libraries= \
  -c 'dynamic_library_path=$libdir' -c logging_collector=off -c log_destination=stderr -c shared_buffers=128MB \
  -c huge_pages=off -c jit=off -c max_parallel_workers_per_gather=0 -c max_logical_replication_workers=0 \
  -c autovacuum=off -c default_transaction_read_only=off -c lc_messages=C > /tmp/server.log 2>&1 &
server=$!
until psql -XAtqd "$DRILL_DATABASE" -c 'SELECT 1' > /tmp/answer 2>&1; do
  if ! kill -0 "$server" 2> /dev/null; then
    server=
    say Failed pgwarden/start "$(grep -E 'FATAL|PANIC|ERROR' /tmp/server.log | tail -n 1)"
    finish
  fi
  case $(cat /tmp/answer) in *'does not exist'*) break ;; esac
  sleep 1
done
say Passed pgwarden/start "PostgreSQL $major accepts connections"

count=0 bad=
psql -XAtqd "$DRILL_DATABASE" -c 'SELECT datname FROM pg_database WHERE datallowconn' > /tmp/databases 2> /tmp/error
while IFS= read -r database; do
  count=$((count + 1))
  PGDATABASE=$database psql -XAtqc 'SELECT count(*) FROM pg_class' > /dev/null 2> /tmp/error < /dev/null ||
    bad="$bad$database: $(cat /tmp/error) "
done < /tmp/databases
if [ -z "$bad" ] && [ "$count" -gt 0 ]; then
  say Passed pgwarden/connect "$count databases"
else
  say Failed pgwarden/connect "${bad:-no database can be connected to: $(cat /tmp/error)}"
fi

if [ ! -x "$bin/pg_amcheck" ]; then
  say Skipped pgwarden/amcheck "pg_amcheck is not in this image"
elif [ "$(psql -XAtqd "$DRILL_DATABASE" -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'")" != 1 ]; then
  say Skipped pgwarden/amcheck "the extension amcheck is not in this image"
elif found=$(pg_amcheck --all --install-missing 2>&1); then
  say Passed pgwarden/amcheck "tables and indexes are sound"
else
  say Failed pgwarden/amcheck "$found"
fi

number=0
while [ "$number" -lt "$DRILL_CHECKS" ]; do
  eval "name=\$DRILL_${number}_NAME sql=\$DRILL_${number}_SQL expect=\$DRILL_${number}_EXPECT"
  eval "database=\$DRILL_${number}_DATABASE timeout=\$DRILL_${number}_TIMEOUT"
  number=$((number + 1))
  if ! answer=$(PGDATABASE=$database PGOPTIONS="-c statement_timeout=${timeout}s" \
    psql -v ON_ERROR_STOP=1 -XAtqc "$sql" 2> /tmp/error); then
    say Failed "$name" "$(cat /tmp/error)"
  elif [ "$answer" = "$expect" ]; then
    say Passed "$name" "it is $answer"
  else
    say Failed "$name" "it is $answer instead of $expect"
  fi
done
finish
