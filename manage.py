#!/usr/bin/env python
"""Django's command line for Stationmaster."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        if sys.argv[1:] in (["alive", "worker"], ["alive", "beat"]):
            # Every container asks it twice a minute: loading Django's apps for it would take five times as long.
            from jobs.pulse import probe

            sys.exit(probe(sys.argv[2]))
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
