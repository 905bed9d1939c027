"""The viewer as a web server: who may ask, the data, the events, the page."""
