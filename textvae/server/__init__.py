"""The HTTP server: the library's operations as routes, one model shared by all requests."""
