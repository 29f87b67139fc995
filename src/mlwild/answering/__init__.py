"""What is live as something that answers rows: bundled once, loaded by its digest, asked by whoever serves."""

from mlwild.answering.bundle import Bundle
from mlwild.answering.bundling import bundle
from mlwild.answering.service import Answered, AppService, service_of

__all__ = ["Answered", "AppService", "Bundle", "bundle", "service_of"]
