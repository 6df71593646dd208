"""The specification of Stationmaster, as tests: `unit` calls the verbs, `acceptance` runs the real processes."""
