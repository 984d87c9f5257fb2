"""Feature store: registration of the lake tables with Feast."""
