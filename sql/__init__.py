"""The store: schema, connections, and every transaction that writes."""
