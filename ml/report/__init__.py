"""Reports on trained models and on single patients, as self-contained HTML pages."""
