"""Ray, only where a run asks for it: joining a cluster, and processes on its nodes."""
