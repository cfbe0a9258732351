"""How a request and its answer look on the line: HTTP/1.1, gRPC, single requests, and a server that does nothing."""
