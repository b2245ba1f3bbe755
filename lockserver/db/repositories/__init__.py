"""One repository per noun, in the pattern of `rows.Rows`, taken from the unit of work."""
