"""Steps: a stage together with what is done already. Each finds the units that are missing or out of date, runs its
stage over them, and commits them one by one; so a step that was interrupted goes on where it was.

A unit is up to date when its fingerprint (configuration, kernel versions, the stages before it) and the units that it
was computed from are the same as now.
"""
