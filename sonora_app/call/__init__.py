"""One call, from the transport that it comes in by to its farewell."""
