"""One run of a job, from its config to its typed result: the record's whole way. Called by `jobs/` and notebooks."""
