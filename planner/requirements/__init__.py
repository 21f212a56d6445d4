"""Requirements: each thing a demand can ask, in one place.

`offer`, `spread`, `group`, `workload` and `policy` have a class for each kind. It says which
demands state it, what breaks it and in which words, how it is relaxed, its rows in the program,
what it looks at, and whether a choice or a live disk holds it. The program, presolve, the
heuristics and the analysis loop over requirements. `planner.solve.verify` states every rule a
second time, on purpose.
"""
