"""Requirements: each thing a demand can ask, in one place.

A requirement says which demands state it, what it looks at, its rows in the program, whether a
choice holds it, and the least limit that a choice needs. The program, presolve, the heuristics and
the analysis loop over requirements and know none by name. `planner.solve.verify` states every rule
a second time, on purpose.
"""
