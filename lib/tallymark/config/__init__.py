"""The options of the jobs: one model per job, filled from YAML, then from the command line on top."""
