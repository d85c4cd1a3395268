"""Style transfer: a picture painted in the manner of another."""
