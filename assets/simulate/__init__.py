"""Synthetic landing zone: a leukaemia cohort in real file formats with planted truth."""
