"""`python -m customhouse`."""

from customhouse.cli import main

main()
