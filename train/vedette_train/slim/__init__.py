"""Structured pruning that removes channels: which go together, which matter least, and taking them out.

settings    what a recipe says of it
record      which channels of which layer were kept: slimming.json
cut         takes channels out of a network as a record says
groups      channels that can only leave together [DepGraph, Fang et al. 2023, arXiv 2301.12900]
importance  how much each of them matters
choose      which of them leave
remove      all of it in one call
statistics  batch norm's, measured anew
masks       the same held at zero while training, to be removed at its end
compare     a network before and after
rerun       a run made again with fewer channels
"""
