"""Reading a collection back, in order or by row."""
