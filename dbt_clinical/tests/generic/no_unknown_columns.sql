{# Columns of the landed file that the staging model does not read. #}
{% test no_unknown_columns(model, landed) %}
    {%- set known = [] %}
    {%- if execute %}
    {%- for column in adapter.get_columns_in_relation(model) %}
    {%- do known.append(column.name) %}
    {%- endfor %}
    {%- endif %}
    select column_name
    from (describe {{ landing_rows(landed, known) }})
    where lower(column_name) not in ('{{ known | join("', '") }}')
{% endtest %}
