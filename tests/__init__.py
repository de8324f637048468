"""The suite; a package, so that no other project's `tests` can hide it."""
