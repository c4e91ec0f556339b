"""What the tests in release VMs share with the others."""

from integration.conftest import cache

__all__ = ["cache"]
