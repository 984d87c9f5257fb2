"""The per-patient driver: landing zone, pool, staleness, assets."""
