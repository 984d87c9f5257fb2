"""Dagster wiring: definitions, settings, resources, partitions, driver, jobs, command line."""
