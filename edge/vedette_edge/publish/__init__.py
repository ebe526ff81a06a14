"""From the agent to the broker: a durable outbox, and MQTT as the wire."""
