"""What the commands share: options, terminal, batches of files."""
