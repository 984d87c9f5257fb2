with patients as (
    select * from {{ ref("stg_patients") }}
)

select
    patient_id,
    {{ utc_midnight("index_date") }} as index_timestamp,
    coalesce(consent, 'yes') as consent,
    site,
    case
        when consent = 'no' then 'no_consent'
        when index_date is null then 'no_index_date'
    end as exclusion_reason
from patients
