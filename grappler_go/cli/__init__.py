"""The command line grappler-go: one module a command, listed in main.py."""
