"""Measures of quality: mean intersection over union, root mean square error, endpoint error."""
