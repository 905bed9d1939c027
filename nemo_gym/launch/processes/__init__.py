"""Server processes: their Python environment, their start, their supervision."""
