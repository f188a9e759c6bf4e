"""What demo, end-to-end tests and benchmarks share: kubectl, helm, waiting, and a PostgreSQL to try things on."""
