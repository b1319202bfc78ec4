"""What tests share: commands, daemons and servers to run, files and memories to prepare, programs that get killed."""
