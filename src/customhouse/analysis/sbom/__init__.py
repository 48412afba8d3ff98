"""Software bills of materials: written for every image in two formats, read from its referrers.

`contents` has what is known of an image, `spdx` and `cyclonedx` write it, `documents` reads both;
`coordinates` stands between packages and package URLs. `publishing` pushes what is written beside
the image, `attached` has what others pushed.
"""
