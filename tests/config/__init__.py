"""What deploy.toml promises: one config per host, every mistake at once, and no name that could do harm."""
