"""The controllers of BackupSchedules and RestoreDrillSchedules: they make Backups and RestoreDrills when they are due.

reconcile  the loop, the same for both     made  what the runs of either are
decide     which run is due                render  the objects that are made
kept       condition RetentionHolds of a BackupSchedule
"""
