"""The story: a PostgreSQL with data, its WAL archived, a backup, a disaster, and the rows back."""

from __future__ import annotations

import json
from typing import Any

from demo.ground import Ground
from demo.narrator import DemoError, Narrator

PICTURE = "SELECT count(*), sum(balance), md5(string_agg(id || owner || balance, ',' ORDER BY id)) FROM accounts"
SUMS = "SELECT count(*), sum(abalance), (SELECT count(*) FROM pgbench_history) FROM pgbench_accounts"
RESTORE = "hippo-rewind"


class Story:
    def __init__(self, tell: Narrator, ground: Ground) -> None:
        self._tell = tell
        self._ground = ground
        self._k = f"kubectl -n {ground.namespace}"
        self._psql = f"{self._k} exec postgres-0 -c postgres -- psql -U postgres"
        self.before: tuple[str, str] = ("", "")
        self.moment = ""

    def play(self) -> None:
        tell = self._tell
        with tell.step("A Repository and an ordinary PostgreSQL"):
            self._database()
        with tell.step("Data"):
            self._data()
        with tell.step("A full backup, and a schedule"):
            self._backup()
        with tell.step("Life goes on: transactions after the backup, the last good moment"):
            self._life()
        with tell.step("The disaster"):
            self._disaster()
        with tell.step("Restore to the moment before"):
            self._restore()
        with tell.step("The rows, compared"):
            self._compare()
        with tell.step("The state now"):
            self._board()

    # --- before the disaster -----------------------------------------------------------------------------------------

    def _database(self) -> None:
        tell, k = self._tell, self._k
        tell.say(
            """A Repository keeps WAL and backups. The StatefulSet has one line for pgwarden: the label
            pgwarden.io/repository in its pod template."""
        )
        tell.show(f"{k} apply -f demo/manifests/repository.yaml")
        image = self._ground.postgres_image
        apply = f"{k} apply -f demo/manifests/postgres.yaml"
        if image != "postgres:17":
            apply = f"sed 's|image: postgres:17|image: {image}|' demo/manifests/postgres.yaml | {k} apply -f -"
        tell.show(apply)
        look = f"{k} describe pod postgres-0"
        tell.wait("pod postgres-0 to be ready", self._pod_ready, 300, look, f"{k} get events")
        tell.say("What the webhook added to the pod: its init containers, and the server's arguments.")
        tell.show(f"{k} get pod postgres-0 -o jsonpath='{{.spec.initContainers[*].name}}{{\"\\n\"}}'")
        tell.show(f"{k} get pod postgres-0 -o jsonpath='{{.spec.containers[0].args}}{{\"\\n\"}}'")
        hint = f"{k} describe pgrepo hippo"
        tell.wait("a first WAL segment to be seen in the repository", self._condition("Archiving"), 180, hint)
        tell.show(f"{k} get pgrepo hippo")

    def _data(self) -> None:
        tell = self._tell
        tell.show(f"{self._k} exec postgres-0 -c postgres -- pgbench -U postgres -i -q -s 10 postgres", quiet=True)
        self._sql(
            """CREATE TABLE accounts AS SELECT id, 'customer ' || id AS owner, 100.00 AS balance
               FROM generate_series(1, 10000) AS id""",
            show="CREATE TABLE accounts AS SELECT id, 'customer ' || id AS owner, 100.00 AS balance "
            "FROM generate_series(1, 10000) AS id",
        )
        tell.say("1,000,000 rows from pgbench, and 10,000 in a table of our own, accounts.")

    def _backup(self) -> None:
        tell, k = self._tell, self._k
        tell.show(f"{k} apply -f demo/manifests/backup.yaml")
        hint = f"{k} describe pgb hippo-first"
        tell.wait("the backup", lambda: self._phase("pgb", "hippo-first", hint), 600, hint)
        tell.say("And one every night from now on. The answer lists the next runs:")
        tell.show(f"{k} apply -f demo/manifests/schedule.yaml")
        tell.show(f"{k} get pgbs,pgb")

    def _life(self) -> None:
        tell, k = self._tell, self._k
        tell.show(f"{k} exec postgres-0 -c postgres -- pgbench -U postgres -n -c 4 -t 500 postgres", quiet=True)
        tell.say("These 2,000 pgbench transactions are in no backup, only in the WAL. Then one of our own:")
        self._sql("UPDATE accounts SET balance = balance + 250.00, owner = owner || ' (salary paid)' WHERE id = 4711")
        self.before = (self._value(PICTURE), self._value(SUMS))
        tell.say(f"accounts: rows | sum | checksum = {self.before[0]}")
        tell.say(f"pgbench: accounts | sum | history rows = {self.before[1]}")
        self.moment = self._value("SELECT clock_timestamp()")
        tell.say(f"The last good moment, by PostgreSQL's clock: {self.moment}")

    def _disaster(self) -> None:
        tell = self._tell
        tell.say(
            """A clean-up script was meant to close one account, but its WHERE says `id <> 4711` instead of `id = 4711`.
            It also drops a table that looked unused. Both are committed."""
        )
        self._sql("DELETE FROM accounts WHERE id <> 4711")
        self._sql("DROP TABLE pgbench_history")
        self._sql("INSERT INTO accounts VALUES (10001, 'customer 10001 (after the disaster)', 5.00)")
        left = self._value("SELECT count(*) FROM accounts")
        tell.say(f"{left} rows of 10,000 are left. Replicas would have replayed this at once.")

    # --- and back ----------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        tell, k = self._tell, self._k
        tell.say(
            """The Restore names the moment. pgwarden archives the WAL that is still open and restores into a new volume
            while PostgreSQL keeps running. Only then does it stop PostgreSQL, swap the volumes, and replay WAL up to
            that moment."""
        )
        tell.show(f"sed 's|time: .*|time: \"{self.moment}\"|' demo/manifests/restore.yaml | {k} apply -f -")
        hint = f"{k} describe pgr {RESTORE}"
        tell.wait("the restore", lambda: self._phase("pgr", RESTORE, hint), 900, hint)
        tell.show(f"{k} get pgr {RESTORE}")

    def _compare(self) -> None:
        tell = self._tell
        self._tell.wait("pod postgres-0 to be ready", self._pod_ready, 120, f"{self._k} describe pod postgres-0")
        after = (self._value(PICTURE), self._value(SUMS))
        for what, then, now in (("accounts", self.before[0], after[0]), ("pgbench ", self.before[1], after[1])):
            tell.say(f"{what}  before the disaster: {then}")
            tell.say(f"{what}  after the restore:   {now}")
        if after != self.before:
            raise DemoError("the rows differ from those before the disaster", f"{self._k} describe pgr {RESTORE}")
        self._sql("SELECT * FROM accounts WHERE id IN (4711, 10001)")
        tell.say(
            """Every row is back. The salary of account 4711 was committed before the moment and is there. Account 10001
            was committed after it and is not: it is in the old volume, which is kept."""
        )

    def _board(self) -> None:
        tell, k = self._tell, self._k
        hint = f"{k} describe pgrepo hippo"
        tell.wait("archiving on the new timeline", self._condition("Archiving"), 120, hint)
        tell.show(f"{k} get pgwarden")
        path = '{range .status.recoveryWindow[*]}{.storage}: from {.earliest} to {.latest}{"\\n"}{end}'
        tell.say("The recovery window: a Restore can name any moment in it.")
        tell.show(f"{k} get pgrepo hippo -o jsonpath='{path}'")
        tell.show(f"{k} get pvc")

    # --- looks -------------------------------------------------------------------------------------------------------

    def _sql(self, statement: str, show: str = "") -> None:
        text = (show or statement).replace('"', '\\"')
        self._tell.show(f'{self._psql} -c "{text}"', f"{self._k} logs postgres-0 -c postgres --tail=20")

    def _value(self, statement: str) -> str:
        code, out, err = self._tell.run(f'{self._psql} -XAtq -c "{statement}"')
        if code:
            raise DemoError(f"psql: {err.strip()}", f"{self._k} logs postgres-0 -c postgres --tail=20")
        return out.strip()

    def _object(self, kind: str, name: str) -> dict[str, Any]:
        code, out, _ = self._tell.run(f"{self._k} get {kind} {name} -o json --ignore-not-found")
        found: dict[str, Any] = json.loads(out) if code == 0 and out.strip() else {}
        return found

    def _pod_ready(self) -> tuple[bool, str]:
        status = self._object("pod", "postgres-0").get("status", {})
        good = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        waiting = [one.get("state", {}).get("waiting") or {} for one in states]
        said = "; ".join(f"{one['reason']}: {one['message']}" for one in waiting if one.get("message"))
        return good, said or ("ready" if good else "")

    def _condition(self, kind: str) -> Any:
        def look() -> tuple[bool, str]:
            status = self._object("pgrepo", "hippo").get("status", {})
            for one in status.get("conditions", []):
                if one["type"] == kind:
                    return one["status"] == "True", f"{kind} {one['status']}: {one['message']}"
            return False, ""

        return look

    def _phase(self, kind: str, name: str, hint: str) -> tuple[bool, str]:
        status = self._object(kind, name).get("status", {})
        phase, message = status.get("phase", ""), status.get("message", "")
        if phase == "Failed":
            raise DemoError(f"{kind} {name} failed: {message}", hint, f"{self._k} get events")
        step = f" {status['step']}" if status.get("step") else ""
        return phase == "Completed", f"{phase}{step}: {message}" if phase else ""
