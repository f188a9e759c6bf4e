"""The Restore controller: gather → decide → act, resumable at any point.

reconcile      the loop                     gather       reads all that is decided from
decide         the steps in order           plan         what was there before anything was changed
steps_prepare  Validated … Restored         volume_swap  two volumes change their claims' names
steps_switch   Stopped, Swapped, Started    undo         the way back
steps_finish   Recovered, BackedUp          render       the Job and the claims
"""
