"""What scoring is made of: prefix trees, likelihoods, generation, choices, counts."""
