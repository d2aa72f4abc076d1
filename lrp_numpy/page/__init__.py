"""A page in one file that explains itself: draw a digit, and LRP runs in the browser."""
