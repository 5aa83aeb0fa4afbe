"""Backends of an index, which store its vectors and search them; one module each."""

from .base import Backend, backend_class, register_backend
from .faiss import FaissBackend
from .numpy import NumpyBackend

__all__ = ["Backend", "FaissBackend", "NumpyBackend", "backend_class", "register_backend"]
