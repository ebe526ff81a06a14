from tuf_fixtures import device, repository, server

__all__ = ["device", "repository", "server"]
