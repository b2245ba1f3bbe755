"""Who asks: authentication is the type of a parameter, so a route without it is public by construction."""
