"""The tools in one call: how they are offered, agreed to, called and waited for."""
