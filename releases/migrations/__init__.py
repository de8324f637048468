"""One module per kind of migration tool: what is pending, in which phase, how it runs."""
