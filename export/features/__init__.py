"""Feature networks for style transfer: trained here, shipped as a graph of loss and gradient."""
