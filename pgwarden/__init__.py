"""Disaster recovery for PostgreSQL on Kubernetes, declared in resources and enforced at admission."""

__version__ = "0.2.0-dev"
