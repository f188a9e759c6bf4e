"""`make bench-fleet`: the controller with a thousand Repositories, and what else a cluster of that size has."""
