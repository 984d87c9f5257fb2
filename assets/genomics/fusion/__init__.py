"""Gene fusions: tables of RNA callers to gene pairs."""
