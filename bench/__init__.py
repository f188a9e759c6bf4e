"""Measurements on the real local cluster: `make bench`."""
