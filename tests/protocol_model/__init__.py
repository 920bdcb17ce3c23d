"""A model of the protocol that explores every order of events within small bounds.

Its halves are the product: `device.py` drives the agent's journal, runs and supervisor, `server.py`
drives the ledger on a real PostgreSQL. Each half's step is a function of its state and of what
arrives, so it is taken in earnest once and remembered; `world.py` combines the halves with a network
that loses, doubles, reorders and delays, with crashes, cuts, restores and people. `promises.py` says
what must hold, `explorer.py` looks for the shortest way to break it, `mutants.py` switches one rule
off at a time.

`cells.py` changes one verdict at a time; `outputs.py` is a model of its own for P6, with its own halves.
"""
