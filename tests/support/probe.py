"""A channel that no product has: it asks for everything that the channels of the product ask for."""
