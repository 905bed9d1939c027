"""From rollouts to the files that trainers load: SFT, preference pairs, single labels, RL."""
