"""How many hosts a demand needs, from footprints that runs have measured; pure, like all of `capacity`."""
