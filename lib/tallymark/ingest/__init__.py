"""Pure domain of the job `ingest`: from an encrypted item to a log record in its hour, and to its compact form.

Called as ``tallymark.ingest(spark, api=..., out=...)`` it runs the job: see `tallymark.runs.ingest.run`.
"""
