"""The Restore controller: gather → decide → act, resumable at any point.

reconcile      the loop                     steps        the steps in order, with what each has to have read
gather         reads that                   decide       the next step's verdict, and the status that it makes
steps_prepare  Validated … Restored         volume_swap  two volumes change their claims' names
steps_switch   Stopped, Swapped, Started    undo         the way back
steps_finish   Recovered, BackedUp          vanished     the way back where the Restore itself was deleted
proof          the gate before each action  act          that action, carried out
"""
