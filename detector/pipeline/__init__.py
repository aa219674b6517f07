"""Pure functions a record passes through, in order: decode, event time, windows, scoring, alerts, encode."""
