from edge_fixtures import broker_port, shared_bundle

__all__ = ["broker_port", "shared_bundle"]
