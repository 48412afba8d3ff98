"""Work that outlives a request: durable, resumed after a crash, started by events."""
