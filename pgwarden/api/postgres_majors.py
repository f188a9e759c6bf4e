"""Which majors of PostgreSQL a PostgresCluster can have, and which one the operator's own image has.

The CRD, the Dockerfile, the chart and the README repeat them; tests compare all of these with this module.
"""

from __future__ import annotations

OLDEST, NEWEST = 13, 18
#: Of the operator's image, and of a PostgresCluster that names none.
DEFAULT = 17
