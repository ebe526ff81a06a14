"""From a finished run to a bundle that a device trusts."""
