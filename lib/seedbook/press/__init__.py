"""The press: runs chapters, keeps their runs, publishes editions, builds the book."""
