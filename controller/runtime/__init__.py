"""What every controller stands on: the keyed queue, workers, the caches, leadership."""
