"""What the control room may ask of the node over MQTT: strict commands in, one answer each out."""
