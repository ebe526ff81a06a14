"""Whether what a model sees and says on a camera is still what it saw and said of held-out samples.

Nothing is imported here: `features` is part of the contract of all rooms, the rest is the device's.
"""
