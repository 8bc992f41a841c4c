import ssl
import sys
import time
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.app.defaults import DEFAULTS
from celery.worker.request import Request
from kombu import Connection, Queue
from kombu.transport.redis import Channel as RedisChannel
from redis import SSLConnection

from config.tests.test_settings import read, run
from styleguide_example.authentication.tasks import sessions_clear_expired
from styleguide_example.tasks import app

_CELERY = "{name: getattr(s, name) for name in dir(s) if name.startswith('CELERY_')}"
_JSON = f"json.loads(json.dumps({_CELERY}, default=str))"


@pytest.fixture(scope="module", params=["amqp", "redis"])
def broker_settings(request):
    return request.param, read(_JSON, CELERY_BROKER_URL=f"{request.param}://u:p@h/1")


def test_celery_knows_every_setting(broker_settings):
    names = {name.removeprefix("CELERY_").lower() for name in broker_settings[1]}
    assert names - set(DEFAULTS) == set()


@pytest.fixture
def request_and_message(monkeypatch):
    """A task as a worker has it, and the message that the broker keeps meanwhile."""
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    with Connection("memory://") as connection:
        options: dict[str, Any] = {"connection": connection, "queue": "default"}
        sessions_clear_expired.apply_async(**options)
        message = Queue("default")(connection.default_channel).get()
        assert message is not None
        request = Request(
            message,
            app=app,
            task=sessions_clear_expired,
            on_ack=message.ack_log_error,
            on_reject=message.reject_log_error,
        )
        yield request, message
        Queue("default")(connection.default_channel).purge()
        # Its exchange is a topic; other tests declare a direct one of the same name.
        transport: Any = connection.transport
        transport.state.clear()


def test_a_task_is_acknowledged_after_it_ran_and_not_before(request_and_message):
    request, message = request_and_message
    request.on_accepted(pid=1, time_accepted=time.monotonic())
    assert not message.acknowledged
    request.on_success((False, None, 0.1))
    assert message.acknowledged


def test_a_task_goes_back_when_its_worker_dies_under_it(request_and_message):
    request, message = request_and_message
    request.on_accepted(pid=1, time_accepted=time.monotonic())
    try:
        raise WorkerLostError
    except WorkerLostError:
        request.on_failure(ExceptionInfo())
    again = message.channel.basic_get("default")
    assert again is not None
    assert again.headers["id"] == request.id


def test_each_broker_has_its_own_safety_settings(broker_settings):
    kind, settings = broker_settings
    options = settings["CELERY_BROKER_TRANSPORT_OPTIONS"]
    if kind == "amqp":
        assert settings["CELERY_TASK_DEFAULT_QUEUE_TYPE"] == "quorum"
        assert settings["CELERY_TASK_DEFAULT_EXCHANGE_TYPE"] == "topic"
        assert options == {"confirm_publish": True}
    else:
        assert "CELERY_TASK_DEFAULT_QUEUE_TYPE" not in settings
        assert options["visibility_timeout"] > settings["CELERY_TASK_TIME_LIMIT"]
        assert set(options) <= set(RedisChannel.from_transport_options)


@pytest.mark.parametrize("authority", [None, __file__])
def test_a_broker_over_tls_must_prove_its_name(authority):
    """py-amqp checks the name of the certificate only when it is told which one to expect."""
    given = {"CELERY_BROKER_URL": "amqps://u:p@127.0.0.1:1/1", "CELERY_BROKER_CA_FILE": authority}
    secured = read("s.CELERY_BROKER_USE_SSL", **given)
    assert secured == {"ca_certs": authority, "server_hostname": None}
    connection = Connection(given["CELERY_BROKER_URL"], ssl=secured)
    with pytest.raises(ConnectionRefusedError):
        connection.transport.establish_connection()
    assert isinstance(connection.ssl, dict)
    assert connection.ssl["server_hostname"] == "127.0.0.1"


@pytest.mark.parametrize(("verify", "mode"), [("true", "required"), ("false", "none")])
def test_redis_over_tls_must_prove_its_name_unless_told_otherwise(verify, mode):
    given = {"CELERY_BROKER_URL": "rediss://:p@h:1", "CELERY_BROKER_TLS_VERIFY": verify}
    secured = read("s.CELERY_BROKER_USE_SSL", **given)
    context = SSLConnection(**secured)
    assert (secured["ssl_cert_reqs"], context.check_hostname) == (mode, verify == "true")
    assert context.cert_reqs == {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE}[mode]


def test_rabbitmq_over_tls_always_proves_its_name():
    given = {"CELERY_BROKER_URL": "amqps://u:p@h/1", "CELERY_BROKER_TLS_VERIFY": "false"}
    result = run(sys.executable, "-c", "from config.settings import celery", **given)
    assert result.returncode == 1
    assert result.stderr.startswith("Configuration: CELERY_BROKER_TLS_VERIFY can be false for ")


def test_the_interval_of_the_cleanups_is_settable():
    schedule = "[t['schedule'].total_seconds() for t in s.CELERY_BEAT_SCHEDULE.values()]"
    assert set(read(schedule)) == {3600}
    assert set(read(schedule, SESSION_CLEANUP_INTERVAL_SECONDS="7")) == {7}
