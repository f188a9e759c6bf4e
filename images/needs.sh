#!/bin/sh
# needs.sh LIST BINDIR [TERMINATION_LOG]: whether the image that it runs in has what the file LIST names, a line each:
#
#   locale|NAME|WHOSE     a locale that databases have; PostgreSQL itself is asked, as each system has its own names
#   library|NAME|WHOSE    a library that PostgreSQL preloads
#
# It exits with 0, or with 1 and a JobResult that names all that is missing. Without LIST nothing is asked for.
set -u
list=$1 bin=$2 termination_log=${3:-/dev/termination-log}
[ -s "$list" ] || exit 0
probe=$(mktemp -d "${TMPDIR:-/tmp}/needs.XXXXXX")
: > "$probe/postgresql.conf"
folder=$("$bin/pg_config" --pkglibdir 2> /dev/null) || folder=$bin/../lib # some images lack it
missing='' reason=''
lacks() { # REASON WHAT
  reason=${reason:-$1}
  [ ${#missing} -gt 1500 ] || missing="$missing${missing:+; }$2" # a termination message has 4096 bytes
}
while IFS='|' read -r kind name whose; do
  case $kind in
    locale)
      "$bin/postgres" -D "$probe" -C lc_monetary -c "lc_monetary=$name" > /dev/null 2>&1 \
        || lacks LocaleMissing "locale $name ($whose)"
      ;;
    library)
      path=${name#\$libdir/}
      case $path in /*) ;; *) path=$folder/$path ;; esac
      [ -e "$path" ] || [ -e "$path.so" ] || lacks LibraryMissing "library $name ($whose)"
      ;;
  esac
done < "$list"
rm -r "$probe"
[ -n "$missing" ] || exit 0
echo "needs.sh: the image lacks $missing" >&2
missing=$(printf '%s' "$missing" | sed 's/[\\"]/\\&/g')
error="nothing was copied, because the image lacks what the source has: $missing"
printf '{"ok":false,"reason":"%s","error":"%s"}' "$reason" "$error" > "$termination_log"
exit 1
