"""Seeing a run from outside: the dashboard's page, Prometheus, Dask's performance report."""
