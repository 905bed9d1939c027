"""Writing a collection: claiming its files, opening them, appending, going on after an end."""
