"""The restore_command of a recovery: a script that runs the real one, notes what came of it, and asks the agent before
it tells PostgreSQL that a segment is not there.

PostgreSQL takes the first segment that it is not given for the end of the WAL, and then takes writes. So the script
does not say that until the agent has: the agent knows whether there is more behind (a hole), and whether more is to
come (it follows the archive). History files are asked about, too: PostgreSQL wants one more, to choose its timeline,
before it promotes. RUN/N/wal has lines for each try: `FILE >` when it begins, `FILE EXIT_CODE` when it has ended, and
`FILE ?` while it waits for an answer: `again FILE`, `end FILE`, or `partial FILE` (what the archive has of a segment
that never was full) through the FIFO RUN/N/answers. Pure text.
"""

from __future__ import annotations

import shlex
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
# FILE PATH; written for one recovery, see agent/recovery/restore_script.py
file=$1
while :; do
  echo "$file >" >> {wal}
  {command}
  code=$?
  echo "$file $code" >> {wal}
  [ "$code" = 1 ] || exit "$code"
  case $file in *.history) ;; *.*) exit 1 ;; esac
  echo "$file ?" >> {wal}
  answer=
  until [ "$answer" = "end $file" ] || [ "$answer" = "again $file" ] || [ "$answer" = "partial $file" ]; do
    answer=
    read -r answer < {answers}
  done
  case $answer in
    end*) exit 1 ;;
    partial*)
      file=$1.partial
      {at_once}
      code=$?
      echo "$1 $code" >> {wal}
      exit "$code" ;;
  esac
done
"""


def text(command: str, folder: Path) -> str:
    """*command* is a restore_command with %f and "%p"."""
    line = command.replace('"%p"', '"$2"').replace("%p", '"$2"').replace("%f", '"$file"').replace("%%", "%")
    wal, answers = shlex.quote(str(folder / "wal")), shlex.quote(str(folder / "answers"))
    # Asynchronously pgBackRest fetches whole segments only, and says of a partial one that it is not there.
    at_once = line.replace(" archive-get ", " --no-archive-async archive-get ", 1)
    return _SCRIPT.format(command=line, at_once=at_once, wal=wal, answers=answers)


def restore_command(script: Path) -> str:
    """What PostgreSQL is given."""
    return f'/bin/sh {shlex.quote(str(script))} %f "%p"'
