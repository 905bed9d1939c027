"""The connections of a server: listening, accepting, and their bounds."""
