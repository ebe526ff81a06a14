"""Anomaly detection: learns what good pictures look like, and says how far off a new one is, and where."""
