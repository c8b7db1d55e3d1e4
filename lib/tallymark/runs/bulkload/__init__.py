"""One run of `bulkload`, from config to result: `run` is its whole way, the neighbours are its steps."""
