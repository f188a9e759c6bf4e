# Starts what was restored where nobody reaches it, and checks it. It runs in the workload's own image, by its /bin/sh.
# Each line of the termination message is OUTCOME, NAME and MESSAGE with tabs between, or Seconds, PHASE and a number;
# the last one is `end` and the number of outcomes. The kubelet takes 4096 bytes of it.
# A pod that was killed is followed by another, which begins anew on what that one has left.
set -u
# Of several sources the last that is there.
number=2
while [ $number -le 16 ]; do
  eval "DRILL_USER=\${DRILL_USER_$number-\${DRILL_USER-}}"
  number=$((number + 1))
done
export LC_ALL=C HOME=/tmp PGHOST=/tmp PGUSER="${DRILL_USER:-postgres}" PGCONNECT_TIMEOUT=10
report=/dev/termination-log
told=0 checked=0 server=""

say() { # OUTCOME NAME MESSAGE
  told=$((told + 1))
  text=$(printf '%s' "$3" | tr '\n\t' '  ')
  case $2 in
    pgwarden/*) printf '%s\t%s\t%.190s\n' "$1" "$2" "$text" ;;
    *) printf '%s\t%s\t%.130s\n' "$1" "$2" "$text" ;;
  esac | tee -a "$report"
}
now() { date +%s; }
spent() { # PHASE SECONDS
  printf 'Seconds\t%s\t%s\n' "$1" "$2" | tee -a "$report"
}
stop() {
  [ -z "$server" ] || { kill -INT "$server" 2> /dev/null; wait "$server"; }
  server=
}
finish() {
  [ -z "${began:-}" ] || checked=$((checked + $(now) - began))
  spent checks "$checked"
  stop
  printf 'end\t%s\n' "$told" >> "$report"
  exit 0
}
why() { grep -E 'ERROR|FATAL|PANIC' /tmp/error || cat /tmp/error; }
ask() { psql -v ON_ERROR_STOP=1 -XAtqd "$DRILL_DATABASE" -c "$1" 2> /tmp/error < /dev/null; }
start() { # whether it takes connections; else what it said is told
  rm -f "$DRILL_DATA/postmaster.pid" # of a pod that was killed; there is one at a time
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
      return 1
    fi
    case $(cat /tmp/answer) in *'does not exist'*) break ;; esac
    sleep 1
  done
}

IFS= read -r major < "$DRILL_DATA/PG_VERSION"
bin=
for folder in "$DRILL_BIN" "/usr/lib/postgresql/$major/bin" "/usr/pgsql-$major/bin" /opt/bitnami/postgresql/bin \
  "/usr/libexec/postgresql$major" /usr/local/bin /usr/local/pgsql/bin /usr/bin; do
  [ -z "$bin" ] && [ -n "$folder" ] && [ -x "$folder/postgres" ] && [ -x "$folder/psql" ] && bin=$folder
done
[ -n "$bin" ] || { say Failed pgwarden/start "postgres and psql of PostgreSQL $major are not in this image"; finish; }
PATH=$bin:$PATH
: > /tmp/postgresql.conf
: > /tmp/ident.conf
echo "local all all trust" > /tmp/hba.conf

# --- pages -----------------------------------------------------------------------------------------------------------
began=$(now)
if [ -x "$bin/pg_checksums" ]; then
  found=$(pg_checksums --check -D "$DRILL_DATA" 2>&1)
  code=$?
  case $found in *"must be shut down"*)
    start || finish # the pod before this one was killed
    stop
    found=$(pg_checksums --check -D "$DRILL_DATA" 2>&1)
    code=$?
    ;;
  esac
  bad=$(printf '%s\n' "$found" | grep -c 'verification failed')
  first=$(printf '%s\n' "$found" | grep 'verification failed' | head -n 1 | sed "s|.*in file \"$DRILL_DATA/||; s|\",|,|; s|: calc.*||")
  case $code$found in
    0*) say Passed pgwarden/checksums "$(printf '%s' "$found" | grep -i 'blocks scanned')" ;;
    *"not enabled"*) say Skipped pgwarden/checksums "data checksums are not enabled" ;;
    *"verification failed"*) say Failed pgwarden/checksums "pages with a wrong checksum: $bad; the first is in $first" ;;
    *) say Failed pgwarden/checksums "$found" ;;
  esac
else
  say Skipped pgwarden/checksums "pg_checksums is not in this image"
fi
checked=$(($(now) - began))

# --- start -----------------------------------------------------------------------------------------------------------
began=$(now)
start || { began=; finish; }
spent start $(($(now) - began))
began=$(now)
say Passed pgwarden/start "PostgreSQL $major accepts connections"

if [ -n "$DRILL_DATABASES" ]; then
  printf '%s\n' "$DRILL_DATABASES" > /tmp/databases
else
  ask 'SELECT datname FROM pg_database WHERE datallowconn' > /tmp/databases
fi
count=0 bad=
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

# --- extensions ------------------------------------------------------------------------------------------------------
bad=
while IFS= read -r database; do
  export PGDATABASE="$database"
  absent=$(psql -XAtqc 'SELECT extname FROM pg_extension EXCEPT SELECT name FROM pg_available_extensions' < /dev/null 2> /dev/null)
  for one in $absent; do bad="$bad$database: extension $one is not in this image; "; done
  lost=$(printf '%s\n' "SELECT DISTINCT format('LOAD %L', probin) FROM pg_proc JOIN pg_language l ON l.oid = prolang
    WHERE lanname = 'c' AND (probin LIKE '\$libdir/%' OR probin LIKE '/%') \\gexec" | psql -XAtq 2>&1 |
    grep -E 'could not access file|could not load library|incompatible library' | head -n 1 | sed 's/.*ERROR: *//')
  [ -z "$lost" ] || bad="$bad$database: $lost; "
done < /tmp/databases
unset PGDATABASE
if [ -z "$bad" ]; then
  say Passed pgwarden/extensions "all are in this image, and their libraries load"
else
  say Failed pgwarden/extensions "$bad"
fi

# --- tables and indexes ----------------------------------------------------------------------------------------------
if [ ! -x "$bin/pg_amcheck" ]; then
  say Skipped pgwarden/amcheck "pg_amcheck is not in this image"
elif [ "$(ask "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'")" != 1 ]; then
  say Skipped pgwarden/amcheck "the extension amcheck is not in this image"
else
  bad=
  while IFS= read -r database; do
    found=$(PGDATABASE=$database pg_amcheck --install-missing --heapallindexed --parent-check 2>&1 < /dev/null) ||
      bad="$bad$(printf '%s\n' "$found" | grep -v '^WARNING: ') "
  done < /tmp/databases
  if [ -z "$bad" ]; then
    say Passed pgwarden/amcheck "tables and indexes are sound"
  else
    say Failed pgwarden/amcheck "$bad"
  fi
fi

# --- the user's ------------------------------------------------------------------------------------------------------
within() { # ANSWER MIN MAX: prints t or f; fails where ANSWER is no number
  case $1 in '' | *[!0-9.eE+-]*) return 1 ;; esac
  printf '%s\n' "SELECT :'a'::numeric >= coalesce(nullif(:'min', '')::numeric, :'a'::numeric)
    AND :'a'::numeric <= coalesce(nullif(:'max', '')::numeric, :'a'::numeric)" |
    psql -v ON_ERROR_STOP=1 -v a="$1" -v min="$2" -v max="$3" -XAtqd "$DRILL_DATABASE" -f - 2> /dev/null
}
number=0
while [ "$number" -lt "$DRILL_CHECKS" ]; do
  eval "name=\$DRILL_${number}_NAME sql=\$DRILL_${number}_SQL expect=\$DRILL_${number}_EXPECT"
  eval "database=\$DRILL_${number}_DATABASE timeout=\$DRILL_${number}_TIMEOUT"
  eval "min=\$DRILL_${number}_MIN max=\$DRILL_${number}_MAX"
  number=$((number + 1))
  if ! answer=$(PGDATABASE=$database PGOPTIONS="-c statement_timeout=${timeout}s" \
    psql -v ON_ERROR_STOP=1 -XAtqc "$sql" 2> /tmp/error < /dev/null); then
    say Failed "$name" "$(why)"
  elif [ -n "$min$max" ]; then
    if ! good=$(within "$answer" "$min" "$max"); then
      say Failed "$name" "it is $answer, which is no number"
    elif [ "$good" = t ]; then
      say Passed "$name" "it is $answer"
    else
      say Failed "$name" "it is $answer, not${min:+ from $min}${max:+ up to $max}"
    fi
  elif [ "$answer" = "$expect" ]; then
    say Passed "$name" "it is $answer"
  else
    say Failed "$name" "it is $answer instead of $expect"
  fi
done
finish
