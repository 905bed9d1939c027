"""What each page shows, worked out from the table and, for what is on the screen, from the lines themselves."""
