"""Pure domain of the job `bulkload`: cells of the matrix, load units, rows of records, their encodings, statistics.

Called as ``tallymark.bulkload(spark, input=..., ...)`` it runs the job: see `tallymark.runs.bulkload`.
"""
