"""What a record in a file is: the splitting of JSON Lines, arrays and CSV, and exact JSON.

For all jobs that read files; which records are equal or wanted is decided by them.
"""
