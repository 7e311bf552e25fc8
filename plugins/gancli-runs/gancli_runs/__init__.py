"""Trained runs beside each other, and one on a page."""
