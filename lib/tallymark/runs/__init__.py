"""One run of a job, from its config to its typed result: a room for each job, and `job` for what all of them share.

Called by `jobs/` and notebooks.
"""
