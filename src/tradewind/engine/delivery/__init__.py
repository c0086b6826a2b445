"""Messages to people outside: webhooks and mail, kept until they arrive."""
