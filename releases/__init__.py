"""switchover: atomic release directories over SSH, proven after every switch."""
