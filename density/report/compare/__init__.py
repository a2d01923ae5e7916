"""Two runs or more held against each other: what differs, whether that is more than noise, and whether it may be."""
