"""Measures of quality: mean intersection over union, also near boundaries and with its interval; error of fields."""
