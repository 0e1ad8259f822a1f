"""Errors, files, threads, protocols and constants: what every folder uses. It imports no other."""
