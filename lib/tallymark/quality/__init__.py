"""Data quality: one rule file gives a row split by Spark and a Great Expectations suite, with equal counts."""
