"""The RestoreDrill controller: a Restore into a claim of its own, checks on what it brings, and then all of it goes.

reconcile  the loop             render   the Restore, the Job with the checks, the NetworkPolicy of its pod
report     what the Job says    status   what the drill's status says
moment     what a random target is
cleaning   what goes afterwards            proof    what its Repository keeps of it
"""
