"""What a set of pictures is like, before anything is trained on it: one page, for any prepared set."""
