"""Genomics assets: Dagster glue only; the readers are in the modules of the same names.

landed_files -> snv_features, sv_features, cnv_features, fusion_features
(one row per patient and specimen date)
"""

from oncoframe.contracts import Modality
from orchestration.patients.per_patient import per_patient_asset

snv_features = per_patient_asset(Modality.SNV, "genomics", {"vcf", "deltalake"})
sv_features = per_patient_asset(Modality.SV, "genomics", {"vcf", "deltalake"})
cnv_features = per_patient_asset(Modality.CNV, "genomics", {"vcf", "csv", "deltalake"})
fusion_features = per_patient_asset(Modality.FUSION, "genomics", {"csv", "deltalake"})
