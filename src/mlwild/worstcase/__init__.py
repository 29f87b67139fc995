"""The worst case of an app: what it was, what it may be next, and how such promises were kept."""
