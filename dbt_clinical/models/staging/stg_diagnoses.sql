{% set columns = {
    "patient_id": "text",
    "label_name": "code",
    "label_value": "text",
    "label_version": "text",
    "known_on": "date",
} %}

with source as (
    {{ landing_rows("diagnoses", columns) }}
),

renamed as (
    select
        {%- for name, type in columns.items() %}
        {{ typed(name, type) }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from source
)

select * from renamed
