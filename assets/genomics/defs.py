"""Genomics assets: Dagster glue only; the readers are in ``snv.py`` and ``fusion.py``.

landed_files -> snv_features, fusion_features (one row per patient and specimen date)
"""

from assets.contracts import Modality
from orchestration.per_patient import per_patient_asset

snv_features = per_patient_asset(Modality.SNV, "genomics", {"vcf", "deltalake"})
fusion_features = per_patient_asset(Modality.FUSION, "genomics", {"csv", "deltalake"})
