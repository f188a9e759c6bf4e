"""What the demo, the end-to-end tests and the benchmarks share: kubectl, helm, waiting, and a PostgreSQL to try things on."""
