"""Write the inventory of a Django project, from what its files say: `make init`.

It reads the project without running it, writes inventories/NAME with what differs from the defaults, generates its
secrets, and says what to do next. What it cannot find it asks on a terminal; elsewhere it says which option to give.
It replaces nothing that exists, and prints no secret. It imports no Ansible, which takes two seconds to start.
"""
