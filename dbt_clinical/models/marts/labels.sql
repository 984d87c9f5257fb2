with diagnoses as (
    select * from {{ ref("stg_diagnoses") }}
),

patients as (
    select * from {{ ref("stg_patients") }}
)

select
    diagnoses.patient_id,
    diagnoses.label_name,
    diagnoses.label_value,
    diagnoses.label_version,
    {{ utc_midnight("coalesce(diagnoses.known_on, patients.index_date)") }} as known_timestamp
from diagnoses
left join patients using (patient_id)
where diagnoses.label_value is not null
