"""Runs of data quality: the gate of the four jobs, and the job `quality` for any Delta table."""
