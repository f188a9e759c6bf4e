"""The Repository controller: host, configuration, certificates, stanza, and what is known of the backups."""
