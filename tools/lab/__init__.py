"""Hosts on this machine: the systems of an inventory, booted with systemd-nspawn.

    PYTHONPATH=tools:ansible/collections python3 -m lab up   inventories/local
    PYTHONPATH=tools:ansible/collections python3 -m lab down inventories/local

A host is a Debian-family root file system: a cached base image below, an overlay of its own above. Hosts of one
inventory share a bridge, an address range and an nftables table that no other copy of this program uses. `up` writes
`machines.yml` (how to reach the hosts, ports) and `.secrets/` (SSH key, known hosts) into the inventory; `down`
removes them. Only the standard library is used, so that it runs before anything is installed.
"""
