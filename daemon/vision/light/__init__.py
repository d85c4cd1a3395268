"""Whether it is day or night in front of the camera."""
