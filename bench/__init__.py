"""One command per figure. Each prints JSON lines, then a table; see the page of figures in docs."""
