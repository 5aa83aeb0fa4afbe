"""Storage: atomic file writes, folders with checksum manifests, and locks."""
