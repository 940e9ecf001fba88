"""A local Event Hub: what the official SDK can send to and receive from on this machine, kept in files.

`server.LocalHub` is the whole of it; the other modules are its parts, each free of sockets and threads.
"""
