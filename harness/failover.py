"""Ways in which the primary of a PostgresCluster dies, and the Restore that goes across that moment."""

from __future__ import annotations

from collections.abc import Callable

from harness.cluster import Cluster
from harness.kubectl import Object, phase
from harness.objects import restore
from harness.waiting import until

Death = Callable[[Cluster, str], None]
_ARCHIVER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'archiver'"
_FLUSHED = "SELECT bool_or(flush_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication"


def delete_pod(cluster: Cluster, instance: str) -> None:
    """PostgreSQL is told to stop, and killed two seconds later: it closes its segment, and is archiving it then."""
    cluster.kill(instance)


def kill_processes(cluster: Cluster, instance: str) -> None:
    """All of the container at once, as when it is out of memory; it is started again in the same pod."""
    cluster.kubectl.run("exec", f"deployment/{instance}", "-c", "postgres", "--", "sh", "-c", "kill -9 -1", check=False)


def stop_archiving(cluster: Cluster) -> None:
    """As with an archive_command that hangs: what is written from now on waits in pg_wal of the primary."""
    pid = cluster.sql(_ARCHIVER)
    cluster.kubectl.run(
        "exec", f"deployment/{cluster.primary()}", "-c", "postgres", "--", "sh", "-c", f"kill -STOP {pid}"
    )


def wait_streamed(cluster: Cluster) -> None:
    """A replica has all that the primary has written: what it has not is lost with an asynchronous primary."""
    until(lambda: cluster.sql(_FLUSHED) == "t", "a replica has all WAL", 60)


def fail_over(cluster: Cluster, death: Death, *, to_another: bool = True) -> str:
    """The new primary, once the cluster is whole again."""
    wait_streamed(cluster)
    before, timeline = cluster.primary(), cluster.status()["timeline"]
    death(cluster, before)

    def after() -> bool:
        status = cluster.status()
        now = status.get("primary") or ""
        return bool(now) and status["timeline"] > timeline and (now != before or not to_another)

    until(after, "a new timeline has a primary", 180)
    cluster.wait_ready()
    return cluster.primary()


def restore_latest(cluster: Cluster, name: str) -> Object:
    """To the latest state: completed, all instances ready, and no backup made meanwhile but its own."""
    space = cluster.kubectl
    before = {one["metadata"]["name"] for one in space.list("pgb")}
    space.apply(restore(name, repository=cluster.name, reenableAutofail=True))
    done = space.until("pgr", name, phase("Completed", "Failed"), "ends", 600)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    cluster.wait_ready(300)
    made = {one["metadata"]["name"] for one in space.list("pgb")} - before
    assert made == {done["status"]["backup"]}
    return done
