"""The registry of trainings, models and their versions; the only package that talks to MLflow."""
