"""Measuring a model honestly: which mail may be measured, which figures, how sure they are, and one report of it.

Statistics (`figures`, `certificate`, `calibration_error`, `thresholds`, `paired`) are pure functions over numpy
arrays; `sets` says which mail may be measured, `methods` scores it, `measure` joins both, `report_*` render it.
"""
