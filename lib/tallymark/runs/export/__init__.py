"""One run of the job `export`, from its options to its manifest."""
