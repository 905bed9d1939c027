"""Looking at rollouts in a browser, also while they are collected: reads the files of collections, writes none."""
