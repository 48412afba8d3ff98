"""Who may do what: projects, principals, passwords, tokens, permissions."""
