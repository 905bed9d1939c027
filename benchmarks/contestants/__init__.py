"""What is compared: ours, the floor, and the mock endpoint that both of them ask."""
