"""Let outside programs grade the hosts of an inventory.

Each module has one family of graders. A grader is a function that asks one host and gives rows; nothing that it needs
stays on the host.
"""
