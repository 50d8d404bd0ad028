"""Hold the sections of the report, one file each; `benchmark.report.contents` has their order."""
