"""The gateway: SMTP proxy listeners, next hop, headers, replies, metrics."""
