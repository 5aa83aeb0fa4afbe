"""Requests and answers; the fields are named as the arguments of the library, and mean the same."""
