"""The other side of the wire, for tests and benchmarks: the vendors' servers, and clients."""
