"""A real one-node Kubernetes for pgwarden's end-to-end tests, without a container engine.

Only the standard library is used: the package has to run before any virtual
environment exists (`python3 -m localcluster up` is the first thing CI does).
"""
