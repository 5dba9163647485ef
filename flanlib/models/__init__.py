"""What a language model is made of, where it is run faster than by its own code."""
