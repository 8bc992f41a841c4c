#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # The safe choice when nobody chose; on your own machine set config.django.local.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.django.production")
    execute_from_command_line(sys.argv)
