"""The whole story on a real cluster, told step by step: `make demo`."""
