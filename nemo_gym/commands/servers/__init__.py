"""Start servers, see which are up, stop them."""
