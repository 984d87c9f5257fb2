"""Models: training and tracking of a study."""
