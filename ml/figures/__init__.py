"""Figures of trainings, cohorts and patients."""
