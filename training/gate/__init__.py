"""The gate: whether a candidate may serve, from evidence to a recorded decision and the switch itself.

`evidence` are the values, `measure` and `sources` gather them, `decision` decides (pure), `lineage` records,
`promotion` joins them and moves the pointer of `model.shelf`.
"""
