"""The run of `ingest`: fetch, decode, merge, commit, publish. `run` is the whole way."""
