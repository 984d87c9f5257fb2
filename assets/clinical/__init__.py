"""Clinical tables: dbt marts, published to the lake."""
