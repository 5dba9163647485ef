"""From the rows of a source to examples: layouts, columns, cleaning, files, the hub."""
