"""How the containers of our image are started: the command lines of `agent/__main__.py`, for all who render a pod."""

from __future__ import annotations

AGENT = ["python3", "-m", "agent"]
#: The exec probe of the agent.
CHECK = [*AGENT, "--check"]
#: Copies the image's own pgBackRest; `--to FOLDER` follows.
INSTALL_TOOLS = [*AGENT, "install-tools"]
#: A Job's container; its arguments are `backup|expire|own …`.
JOB = [*AGENT, "job"]
#: The agent of a recovery, beside the server that recovers; see agent/recovery/. Its arguments: `--pg-data …`.
RECOVER = [*AGENT, "recover"]
#: What the server's container runs, by its own /bin/sh, from the tools' volume; it does what the agent says.
RECOVER_SCRIPT = "bin/recover.sh"
#: Looks whether the workload's image has what is listed: `needs.sh LIST BINDIR`.
NEEDS_SCRIPT = "bin/needs.sh"
