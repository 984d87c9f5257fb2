"""Models and their evaluation on frames and arrays: no Dagster, no Feast."""
