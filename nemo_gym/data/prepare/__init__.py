"""From the datasets of a configuration to checked, collated task files."""
