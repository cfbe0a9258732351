"""Unary gRPC calls over HTTP/2, sent one at a time on each connection."""
