"""What pgBackRest's exit codes say about another attempt (its src/common/error/error.auto.c.inc)."""

#: The next attempt would end with these as well: faulty options, a backup that is not on the target's timeline (58),
#: no backup set that fits (75).
HOPELESS = frozenset({31, 32, 33, 34, 35, 36, 37, 58, 75})
