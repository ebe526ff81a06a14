"""The commands of `vedette-convert`, one file each. They parse, call and print; nothing else."""
