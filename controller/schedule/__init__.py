"""The BackupSchedule controller: makes Backups when they are due."""
