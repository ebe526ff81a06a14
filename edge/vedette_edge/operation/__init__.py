"""How the agent is watched, told, and spared: status, Prometheus, doctor, reload, governor."""
