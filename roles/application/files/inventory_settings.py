"""The project's own settings, and over them what the inventory says in `application_settings`."""

import importlib
import json
import os

_project = importlib.import_module(os.environ["PROJECT_SETTINGS_MODULE"])
globals().update({name: getattr(_project, name) for name in dir(_project) if name.isupper()})
globals().update(json.loads(os.environ["PROJECT_SETTINGS"]))
