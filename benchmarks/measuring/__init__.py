"""What is measured of them, and how."""
