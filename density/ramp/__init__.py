"""How a run grows: the shape of waves, when to stop, how many at once. Pure: no clock, no I/O, no await."""
