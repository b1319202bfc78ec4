"""Other people's engines that feed the memory: each a folder, an extra of the wheel, and a leaf."""
