"""Lengths of time, in seconds. A day has 24 hours: all days of the program are days of UTC, and have no summer time."""

HOUR = 3600
DAY = 24 * HOUR
