"""What the tests stand on: servers on free ports, and a whole running station."""
