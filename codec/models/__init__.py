"""The models that ship: manifest, registry, families, and what loads them."""
