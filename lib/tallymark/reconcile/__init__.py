"""Pure domain of the job `reconcile`: what a record is, when two are equal, how a pair is compared and settled.

Called as ``tallymark.reconcile(spark, source=..., ...)`` it runs the job: see `tallymark.runs.reconcile.run`.
"""
