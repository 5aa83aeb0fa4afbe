"""Storage: files that are whole or absent, folders with manifests, and locks."""
