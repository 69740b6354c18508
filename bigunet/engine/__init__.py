"""Runs blocks on Dask workers: clusters, runner, ledger. It knows nothing of images."""
