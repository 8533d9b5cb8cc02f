"""Benchmarks: models and foreign pictures on data sets, under one convention, to tables, figures and a report."""
