"""Records of what was scored, what of them is valid today, and estimates from them."""
