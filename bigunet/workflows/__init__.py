"""The jobs that users ask for, each one function: plan, run, report."""
