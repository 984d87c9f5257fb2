{# Value of a text column as a type; what cannot be read is null and found by the test
   values_survive_typing. Codes are compared in lower case, text is kept as written. #}
{% macro typed(name, type) %}
    {%- set value = "nullif(trim(" ~ name ~ "), '')" -%}
    {%- if type == "code" -%} lower({{ value }})
    {%- elif type == "text" -%} {{ value }}
    {%- else -%} try_cast({{ value }} as {{ type }})
    {%- endif -%}
{% endmacro %}

{# Midnight UTC at the start of a date. #}
{% macro utc_midnight(date) -%}
    {{ date }}::timestamp at time zone 'UTC'
{%- endmacro %}
