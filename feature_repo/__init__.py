"""Feast: entity, views, services and the offline store over the lake."""
