"""Command line of OncoFrame: ``oncoframe --help``."""
