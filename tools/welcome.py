#!/usr/bin/env python3
"""Say how to use the host that was just made: the last screen of `make up`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    inventory = Path(sys.argv[1])
    machines = json.loads(inventory.joinpath("machines.yml").read_text().split("\n", 1)[1])
    port = machines["all"]["vars"]["project_https_port"]
    (host,) = machines["all"]["hosts"].values()
    address = host["ansible_host"]
    base = f"https://slipway.localhost:{port}"
    secrets = inventory / ".secrets"
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"""
{bold}Slipway runs.{plain}

  App     {bold}https://app.slipway.localhost:{port}/{plain}
          admin@example.com, password in {secrets}/admin_password
  Admin   {bold}{base}/admin/{plain}
  API     {bold}{base}/api/docs/{plain}

  Trust   import {secrets}/ca.crt as an authority in your browser, and take it out after `make down`

  Call    curl --cacert {secrets}/ca.crt --resolve slipway.localhost:{port}:127.0.0.1 \\
            -H 'Content-Type: application/json' \\
            -d "{{\\"email\\":\\"admin@example.com\\",\\"password\\":\\"$(cat {secrets}/admin_password)\\"}}" \\
            {base}/api/auth/login/

  Log in  ssh -i {secrets}/ssh_key -o UserKnownHostsFile={secrets}/known_hosts admin@{address}

  Next    make verify      check the host from outside
          make deploy      release your latest commit
          make down        remove the host again""")
    changed = subprocess.run(["git", "status", "--porcelain", "app"], capture_output=True, text=True, check=False)
    if shutil.which("git") and changed.stdout.strip():
        print("\n  Changes in app/ that are not committed are not released.")


if __name__ == "__main__":
    main()
