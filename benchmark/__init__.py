"""Protocols, metrics, results and tables."""
