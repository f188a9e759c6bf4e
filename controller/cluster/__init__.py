"""PostgresCluster: instances that Patroni keeps in order, on a Repository of the same name."""
