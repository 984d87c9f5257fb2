"""Small variants: VCF to gene burden, drivers, hotspots."""
