"""Clients that come and go for minutes, and what that leaves behind in the push server."""
