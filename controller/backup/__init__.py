"""The Backup controller: one Job per Backup, one operation at a time per stanza."""
