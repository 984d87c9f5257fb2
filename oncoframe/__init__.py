"""OncoFrame: per-patient oncology data, as they were known, from Python."""
