"""What the name of a variable promises about its value."""

from __future__ import annotations

from ansible_collections.slipway.host.plugins.module_utils.inventory import keys, network, rules
from ansible_collections.slipway.host.plugins.module_utils.inventory.rules import Rule

# A whole name says more than its end, and comes first.
CONVENTIONS = {
    "project_name": rules.NAME,
    "application_name": rules.NAME,
    "application_user": rules.NAME,
    "application_environment": rules.ENVIRONMENT,
    "application_processes": rules.PROCESSES,
    "_commands": rules.COMMANDS,
    "application_broker_url": network.BROKER,
    "application_cache_url": network.CACHE,
    "application_files": rules.FILES,
    "application_mail_url": network.MAIL,
    "application_settings": rules.SETTINGS,
    "application_requirements_file": rules.REQUIREMENTS,
    "application_python": rules.PYTHON,
    "application_python_mirror": rules.MIRROR,
    "application_packages": rules.PACKAGES,
    "application_python_packages": rules.PYTHON_PACKAGES,
    "application_persistent_paths": rules.INNER_PATHS,
    "application_static_folder": rules.INNER_PATH,
    "application_media_folder": rules.INNER_PATH_OR_NONE,
    "application_health_path": rules.HEALTH_PATH,
    "nginx_health_path": rules.PLAIN_PATH,
    "_static_url": rules.STATIC_URL,
    "_media_url": rules.MEDIA_URL,
    "base_reboot_time": rules.TIME_OR_NONE,
    "certificates_names": network.CERTIFICATE_NAMES,
    "certificates_acme_server": network.SERVER,
    "cache_memory_mb": rules.MEMORY,
    "_port": rules.PORT,
    "_seconds": rules.SECONDS,
    "_days": rules.DAYS,
    "_count": rules.COUNT,
    "_per_minute": rules.PER_MINUTE,
    "_mb": rules.MEGABYTES,
    "_percent": rules.PERCENT,
    "_path": rules.ABSOLUTE_PATH,
    "_domain": network.DOMAIN,
    "_other_domains": network.NAMES,
    "_redirect_domains": network.NAMES,
    "_domains": network.DOMAINS,
    "_frontends": network.FRONTENDS,
    "_listen_addresses": network.ADDRESSES,
    "_networks": network.NETWORKS,
    "_proxies": network.PROXIES,
    "_private_ports": network.PRIVATE_PORTS,
    "_private_paths": network.PRIVATE_PATHS,
    "_basic_auth_users": rules.USERS,
    "_admins": keys.ADMINISTRATORS,
    "_email": network.EMAIL_ADDRESS,
    "_origins": network.ORIGINS,
}


def convention(name: str) -> Rule | None:
    return next((rule for end, rule in CONVENTIONS.items() if name.endswith(end)), None)
