"""Code tables that identity checks read. Data, no rules."""
