"""The dashboard: one Streamlit app over the tables of all jobs. `app` is started by `make dashboard`; it only reads.

It knows the tables and how they are read, not the runs that write them, and needs neither Spark nor a JVM.
"""
