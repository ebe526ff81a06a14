"""Vedette on the workstation: training, compression and evaluation of the models that the devices run."""
