"""Running a plan: stages, blocks, the record of what is done, and parts of a run."""
