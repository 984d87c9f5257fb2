"""The panel of biomarkers: rules, hotspots, entities."""
