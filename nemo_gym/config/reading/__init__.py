"""Reading configuration: arguments, YAML files, their merge, and `${...}` resolved."""
