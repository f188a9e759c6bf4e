"""The Restore controller: gather → decide → act, resumable at any point.

reconcile  the loop                     gather    reads all that is decided from
decide     the steps in order           plan      what was there before anything was changed
before     Validated … Restored         swap      two volumes change their claims' names
switch     Stopped, Swapped, Started    after     Recovered, BackedUp
undo       the way back                 render    the Job and the claims
"""
