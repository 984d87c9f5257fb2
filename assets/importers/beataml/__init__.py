"""BeatAML 2.0 as a landing zone."""
