"""Views of the typed results: CSV, JSON, Excel, repair lists, the terminal. Computes nothing a result does not hold."""
