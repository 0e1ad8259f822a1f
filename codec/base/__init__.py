"""What every room needs: errors, files, threads, protocols, shared constants. It needs no room."""
