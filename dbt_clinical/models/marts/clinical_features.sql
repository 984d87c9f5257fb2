with patients as (
    select * from {{ ref("stg_patients") }}
),

cohort as (
    select * from {{ ref("cohort") }}
)

select
    cohort.index_timestamp,
    patients.* exclude (index_date, consent)
from patients
inner join cohort using (patient_id)
where cohort.exclusion_reason is null
