"""The run of `reconcile`: `run` is the whole way, its neighbours are the steps on the driver and on the executors."""
