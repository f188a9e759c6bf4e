"""What a Restore will do, worked out before it begins, for the controller's status and the command line's prompt.

forecast   set, bytes, WAL, time, room and loss      pace       how fast the Restores before were
way_back   timeline and set of an undo               data_claim the claim that PostgreSQL's data is on
loss       what is taken away, in words              told_info  a Repository's status as `pgbackrest info`
"""
