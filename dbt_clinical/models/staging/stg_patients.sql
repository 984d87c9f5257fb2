{% set columns = {
    "patient_id": "text",
    "index_date": "date",
    "consent": "code",
    "site": "text",
    "sex": "code",
    "age_at_index_years": "double",
    "race": "code",
    "ethnicity": "code",
    "specimen_type": "code",
    "disease_stage": "code",
    "is_denovo": "boolean",
    "is_transformed": "boolean",
    "is_relapse": "boolean",
    "has_prior_malignancy": "boolean",
    "has_prior_mds": "boolean",
    "has_prior_mpn": "boolean",
    "has_prior_mds_mpn": "boolean",
    "has_prior_radiation": "boolean",
    "blasts_bm_pct": "double",
    "blasts_pb_pct": "double",
    "basophils_pb_pct": "double",
    "eosinophils_pb_pct": "double",
    "immature_granulocytes_pb_pct": "double",
    "lymphocytes_pb_pct": "double",
    "monocytes_pb_pct": "double",
    "neutrophils_pb_pct": "double",
    "nucleated_rbc_pb_pct": "double",
    "alt_u_per_l": "double",
    "ast_u_per_l": "double",
    "albumin_g_per_dl": "double",
    "creatinine_mg_per_dl": "double",
    "hematocrit_pct": "double",
    "hemoglobin_g_per_dl": "double",
    "ldh_u_per_l": "double",
    "mcv_fl": "double",
    "platelets_10e9_per_l": "double",
    "total_protein_g_per_dl": "double",
    "wbc_10e9_per_l": "double",
    "karyotype_iscn": "text",
    "fab_subtype": "text",
    "npm1_clinical": "code",
    "flt3_itd_clinical": "code",
    "flt3_itd_allelic_ratio": "double",
    "cebpa_clinical": "code",
    "eln2017_risk": "code",
    "vital_status": "code",
    "overall_survival_days": "double",
    "cause_of_death": "code",
    "response_to_induction": "code",
    "induction_type": "text",
    "induction_duration_days": "double",
    "treatment_types": "text",
    "treatment_regimens": "text",
    "treatment_stages": "text",
    "treatment_type_count": "bigint",
    "treatment_regimen_count": "bigint",
    "treatment_stage_count": "bigint",
    "had_chemotherapy": "boolean",
    "current_regimen": "text",
    "current_stage": "text",
    "most_recent_treatment_type": "text",
    "most_recent_treatment_duration_days": "double",
} %}

with source as (
    {{ landing_rows("patients", columns) }}
),

renamed as (
    select
        {%- for name, type in columns.items() %}
        {{ typed(name, type) }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from source
)

select * from renamed
