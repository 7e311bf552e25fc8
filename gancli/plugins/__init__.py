"""Plugins and packages: find them, load them, explain what is missing, list them, and start a new one."""
