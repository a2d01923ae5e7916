"""Whether runs differ, by how much, and whether that is more than noise.

`batches` compares launches at equal counts, `difference` what each run has found with an error of its own; Holm's
correction keeps false alarms rare where much is compared at once.
"""
