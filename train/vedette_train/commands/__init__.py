"""The commands of `vedette-train`, one file for each group. They parse, call and print; nothing else."""
