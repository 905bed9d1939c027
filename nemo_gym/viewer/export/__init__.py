"""A collection as one HTML file that opens from disk."""
