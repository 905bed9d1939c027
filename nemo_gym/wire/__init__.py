"""Wire types: the shapes that cross a socket or a file. Knows nothing of the layers above."""
