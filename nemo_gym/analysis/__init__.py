"""What a collection says about its tasks: profiles, a choice of tasks, two collections compared."""
