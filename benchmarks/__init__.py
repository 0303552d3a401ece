"""Measurements: ``make bench`` runs them and writes the figures into the docs."""
