"""Where exactly eyes, nose and mouth are: labels that many looks agree on, and who learns them."""
