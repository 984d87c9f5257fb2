{# Values outside what the meta of their column declares: a closed range (not-a-number and infinity
   are outside) or a list of codes. Patient and column of each. #}
{% test values_as_declared(model) %}
    {%- set columns = [] %}
    {%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == "model" and node.name == model.identifier %}
    {%- for column in node.columns.values() %}
    {%- if column.config.meta.range or column.config.meta.codes %}{% do columns.append(column) %}{% endif %}
    {%- endfor %}
    {%- endfor %}
    {%- endif %}
    {%- for column in columns %}
    select patient_id, '{{ column.name }}' as column_name
    from {{ model }}
    where {{ column.name }} is not null and not (
        {%- if column.config.meta.range %}
        {{ column.name }} between {{ column.config.meta.range | join(" and ") }}
        {%- else %}
        {{ column.name }} in ('{{ column.config.meta.codes | join("', '") }}')
        {%- endif %}
    )
    {{ "union all" if not loop.last }}
    {%- else %}
    select patient_id from {{ model }} where false
    {%- endfor %}
{% endtest %}
