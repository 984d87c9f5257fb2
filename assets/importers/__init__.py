"""Importers: public downloads turned into the landing layout, one module per cohort."""
