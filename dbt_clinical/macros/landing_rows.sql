{# Rows of one landed clinical table as text, with a null column for each canonical one that the
   file lacks, and any further column that it has. Without a file: no rows. #}
{% macro landing_rows(table, columns) %}
    {%- set landed = source("landing", table) %}
    {%- set file = clinical_file(table) %}
    {%- set found = execute and run_query("select file from glob(" ~ file ~ ")").rows | length > 0 %}
    select {% for name in columns %}null::varchar as {{ name }}{{ ", " if not loop.last }}{% endfor %}
    where false
    {%- if found %}
    union all by name
    select * from {{ landed }}
    {%- endif %}
{% endmacro %}

{# SQL literal with the path of a landed clinical table. #}
{% macro clinical_file(table) %}
    {{- "'" ~ (var("clinical_dir") ~ "/" ~ table ~ ".csv") | replace("'", "''") ~ "'" -}}
{% endmacro %}
