"""The run itself: preflight, calibration, waves, hold, teardown."""
