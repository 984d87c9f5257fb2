"""Copy numbers: segments or VCF to ratios of genes, bands and arms."""
