"""Keeping the tables of the jobs small and fast: which partitions are closed, how long old files must stay. No io."""
