"""The distribution API: blobs, uploads, manifests, tags, referrers."""
