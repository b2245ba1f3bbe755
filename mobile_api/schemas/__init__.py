"""What travels over HTTP: request and answer models, one file per noun. Never a table's row."""
