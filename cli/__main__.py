"""`python -m cli`: the same as the command `needlepoint`."""

from cli.main import main

main()
