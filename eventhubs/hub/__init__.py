"""A local Event Hub: what the official SDK can send to and receive from on this machine, kept in files.

`server.LocalHub` is the whole of it, `access.AccessKey` a key to give it, `faults.Faults` what makes it misbehave. The
other modules are its parts, and but for `transport` free of sockets and threads.
"""
