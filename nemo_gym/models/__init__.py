"""What every model server shares."""
