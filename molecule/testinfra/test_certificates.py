import ssl
import time
import warnings

import inventory
import pytest

pytestmark = [pytest.mark.group("web"), pytest.mark.units("nginx")]


def handshake(site, *, lowest, highest):
    """Try TLS of these versions, with a client that itself would accept anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = lowest
        context.maximum_version = highest
    connection = site.open(context=context)
    version = connection.sock.version()
    connection.close()
    return version


def test_the_certificate_is_valid_for_the_domain(site):
    """The handshake checks chain, name and dates; it fails with the reason."""
    site.open().close()


def test_the_certificate_is_for_no_other_name(host, site):
    variables = inventory.variables(host)
    frontends = [frontend["domain"] for frontend in variables.get("project_frontends", [])]
    connection = site.open()
    names = connection.sock.getpeercert()["subjectAltName"]
    connection.close()
    expected = [site.domain, *variables.get("certificates_other_domains", frontends)]
    assert set(names) == {("DNS", name) for name in expected}
    assert set(frontends) <= set(expected)


def test_the_certificate_is_valid_for_more_than_30_days(site):
    connection = site.open()
    end = ssl.cert_time_to_seconds(connection.sock.getpeercert()["notAfter"])
    connection.close()
    assert end - time.time() > 30 * 86400


@pytest.mark.parametrize(("version", "spoken"), [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")])
def test_current_tls_is_spoken(site, version, spoken):
    only = ssl.TLSVersion[version]
    assert handshake(site, lowest=only, highest=only) == spoken


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_older_tls_is_refused(site, version):
    """By the server's own alert: a client that gave up by itself would prove nothing."""
    with pytest.raises(ssl.SSLError) as refusal:
        handshake(site, lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion[version])
    assert refusal.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_only_root_reads_the_private_key(host):
    key = host.file("/etc/ssl/slipway/privkey.pem")
    assert (key.user, key.group, key.mode) == ("root", "root", 0o600)


def test_the_key_of_the_authority_never_comes_to_the_host(host):
    assert host.check_output("ls /etc/ssl/slipway").split() == ["fullchain.pem", "privkey.pem"]
