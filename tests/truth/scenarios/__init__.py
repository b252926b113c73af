"""All scenarios: importing this registers them."""

from . import connecting, crowd, healthy, path, real, shape, twins  # noqa: F401
