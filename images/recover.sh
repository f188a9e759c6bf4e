#!/bin/sh
# recover.sh [RUN [TERMINATION_LOG]]: the server's container of a recovery. It runs in the workload's own image, and does
# what the agent beside it (agent/recovery/) orders through the FIFO RUN/orders, one order a line:
#
#   run N MAJOR    run the program whose name and arguments are the lines of RUN/N/args; output to RUN/N/log
#   start N MAJOR  the same for the server: its output is also this container's log
#   end CODE       leave RUN/result.json as the termination message, and exit with CODE
#
# A program's process id is in RUN/N/pid while it runs, and its exit code in RUN/N/exit once it has ended and all of its
# output is in the log. An order for an N that has been taken is passed over, so the agent may repeat it. A name without
# a slash is looked for where the images have PostgreSQL of version MAJOR. On SIGTERM the server is shut down.
#
# Nothing here but what a shell has built in, mkfifo and mv.
set -u
run=${1:-/pgwarden/run}
termination_log=${2:-/dev/termination-log}

find_program() { # NAME MAJOR
  case $1 in
    /*)
      [ -x "$1" ] && program=$1 && return 0
      return 1
      ;;
  esac
  for folder in "/usr/lib/postgresql/$2/bin" "/usr/pgsql-$2/bin" /opt/bitnami/postgresql/bin; do
    [ -x "$folder/$1" ] && program=$folder/$1 && return 0
  done
  program=$(command -v "$1") && return 0
  for folder in "/usr/libexec/postgresql$2" /usr/local/bin /usr/local/pgsql/bin; do
    [ -x "$folder/$1" ] && program=$folder/$1 && return 0
  done
  return 1
}

keep() { # LOG ECHO: what the program prints
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line" >> "$1"
    [ "$2" = no ] || printf '%s\n' "$line"
  done
}

execute() { # FOLDER MAJOR ECHO
  set -- "$1" "$2" "$3"
  at=$1 major=$2 shown=$3
  set --
  while IFS= read -r argument; do set -- "$@" "$argument"; done < "$at/args"
  if ! find_program "$1" "$major"; then
    echo "recover.sh: $1 of PostgreSQL $major is not in this image" | keep "$at/log" yes
    echo 127 > "$at/exit"
    return
  fi
  shift
  {
    "$program" "$@" 2>&1 &
    echo $! > "$at/pid.new" && mv "$at/pid.new" "$at/pid"
    wait $!
    echo $? > "$at/code"
  } | keep "$at/log" "$shown"
  mv "$at/code" "$at/exit"
}

take() { # N MAJOR ECHO
  mkdir "$run/$1/taken" 2> /dev/null || return 0
  execute "$run/$1" "$2" "$3" &
}

stop() { # nothing is left to be told: the agent finds out from the volume, in the next pod
  trap '' TERM INT
  kill "$reader" 2> /dev/null
  for folder in "$run"/*/; do
    if [ -e "$folder/pid" ] && [ ! -e "$folder/code" ] && [ ! -e "$folder/exit" ]; then
      IFS= read -r pid < "$folder/pid"
      kill -INT "$pid" 2> /dev/null # PostgreSQL: a fast shutdown
    fi
  done
  wait
  exit 143
}

end() { # CODE
  IFS= read -r result < "$run/result.json"
  printf '%s' "$result" > "$termination_log"
  : > "$run/ended"
  exit "$1"
}

reader=
trap stop TERM INT
[ -p "$run/orders" ] || mkfifo "$run/orders" 2> /dev/null || until [ -p "$run/orders" ]; do sleep 1; done
# For both: so it neither waits for somebody to write, nor ends when nobody does.
exec 3<> "$run/orders"
while :; do
  # By a process of its own: a shell that waits is interrupted by a signal, one that reads need not be.
  { IFS= read -r order <&3 && printf '%s\n' "$order" > "$run/order"; } &
  reader=$!
  wait "$reader" || { sleep 1; continue; }
  read -r word number major < "$run/order"
  case $word in
    run) take "$number" "$major" no ;;
    start) take "$number" "$major" yes ;;
    end) end "$number" ;;
    *) echo "recover.sh: unknown order: $word" ;;
  esac
done
