"""Running blocks on Dask workers: clusters, runner, ledger. Knows nothing of images."""
