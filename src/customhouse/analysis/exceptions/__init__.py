"""Exceptions: what is held of a vulnerability in an image, by whom, why and until when.

A person's exception (`people`) accepts a risk or says why there is none; what VEX documents say
(`statements`, pushed with `attachments`) is stored in the same form. None hides a finding:
`assessments` tells which holds, and it is shown beside the finding (`occurrences`).
"""
