"""L1 in: websocket streams, REST fall-back, recorded files."""
