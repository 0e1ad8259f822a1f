"""From pixels to a file and back: options, encoding, decoding, repacking, concealment."""
