"""What the agent knows of the boards that it runs on: how to recognise one, and what suits it."""

from __future__ import annotations

from vedette_edge.boards.facts import BoardFacts, read_facts
from vedette_edge.boards.pipelines import with_pipelines
from vedette_edge.boards.profiles import Profile, detect, load_profiles, with_defaults

__all__ = [
    "BoardFacts",
    "Profile",
    "detect",
    "load_profiles",
    "read_facts",
    "with_defaults",
    "with_pipelines",
]
