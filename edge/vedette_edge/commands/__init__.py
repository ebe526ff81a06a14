"""The subcommands of `edge-agent`, a module each: `add_parser` adds it to the command line."""
