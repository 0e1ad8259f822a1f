"""The models that ship: manifest, registry, and loaders that know each family."""
