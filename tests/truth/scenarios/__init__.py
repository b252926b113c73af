"""All scenarios: importing this registers them."""

from . import connecting, crowd, healthy, path, shape, twins  # noqa: F401
