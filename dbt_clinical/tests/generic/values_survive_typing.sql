{# Landed values that the typed column of the staging model cannot hold, such as "abc" as a number:
   patient and column of each. #}
{% test values_survive_typing(model, landed) %}
    {%- set typed_columns = [] %}
    {%- if execute %}
    {%- for column in adapter.get_columns_in_relation(model) if not column.is_string() %}
    {%- do typed_columns.append(column) %}
    {%- endfor %}
    {%- endif %}
    with landed as (
        {{ landing_rows(landed, typed_columns | map(attribute="name") | list + ["patient_id"]) }}
    )
    {%- for column in typed_columns %}
    select patient_id, '{{ column.name }}' as column_name
    from landed
    where nullif(trim({{ column.name }}), '') is not null
        and try_cast(trim({{ column.name }}) as {{ column.data_type }}) is null
    {{ "union all" if not loop.last }}
    {%- endfor %}
    {%- if not typed_columns %}
    select patient_id from landed where false
    {%- endif %}
{% endtest %}
