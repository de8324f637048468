"""One module per kind of app server: how it takes a release, gives it back, and is proved."""
