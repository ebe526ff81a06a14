from edge_fixtures import broker_port, bundle_dir, dark_video, flash_video, shared_bundle

__all__ = ["broker_port", "bundle_dir", "dark_video", "flash_video", "shared_bundle"]
