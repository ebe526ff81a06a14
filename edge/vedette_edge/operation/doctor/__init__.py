"""Finds out why an agent does not do what it should, and says how to mend it.

A check is a small function: what it looks at comes in as values or functions, a `Finding` comes out.
`examine` holds them together.
"""

from __future__ import annotations

from vedette_edge.operation.doctor.examine import examine
from vedette_edge.operation.doctor.finding import Finding

__all__ = ["Finding", "examine"]
