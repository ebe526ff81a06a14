"""Finds the rules of decision by labelled clips: `clips` -> `judged` -> `trials` -> `search` -> `report`."""
