"""Looking at a run: what it says of videos, where it looks, how steady it is, and what it was trained on.

`subjects` finds the videos, `view` lets the network look at one, `cam` says where it looked, `moments` lays
that over time, `drawing` and `film` make pictures of it; `predictions`, `stability` and `preview` are the
other reports.
"""
