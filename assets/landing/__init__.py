"""Landing zone: samplesheet, files, importers, simulator."""
