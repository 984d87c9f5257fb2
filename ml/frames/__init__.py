"""Training frames on disk, as matrices, and what may not get into them."""
