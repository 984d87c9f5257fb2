"""Training frames: point-in-time joins of a study."""
