"""What the report is made of: notebooks in a row, costs, the API reference."""
