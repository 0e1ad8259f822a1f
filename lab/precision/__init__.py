"""Search of the encoder's precision, layer by layer, in an elastic network."""
