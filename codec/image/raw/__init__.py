"""Raw dumps of image sensors as RGB, to the same numbers as the readers of the exported C."""
