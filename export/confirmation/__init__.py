"""Is it really a face: the network that looks at each find of a detector, and what it learns."""
