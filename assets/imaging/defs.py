"""Imaging assets: Dagster glue only; the reader is in ``ct.py``.

landed_files -> ct_features (one row per patient and scan date)
"""

from oncoframe.contracts import Modality
from orchestration.patients.per_patient import per_patient_asset

ct_features = per_patient_asset(Modality.CT, "imaging", {"dicom", "simpleitk", "deltalake"})
