"""How a request and its answer are sent and read: HTTP/1.1, gRPC, single requests, and a server that does nothing."""
