from django.conf import settings
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.health.selectors import readiness_checks


class LiveApi(APIView):
    """The process answers. If it does not, restart it."""

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyApi(APIView):
    """This release can serve. If it cannot, send it no traffic; a restart will not help."""

    def get(self, request: Request) -> Response:
        checks = readiness_checks()
        ready = all(result == "ok" for result in checks.values())
        return Response(
            {
                "status": "ok" if ready else "unavailable",
                "release": settings.RELEASE,
                "checks": checks,
            },
            status=status.HTTP_200_OK if ready else status.HTTP_503_SERVICE_UNAVAILABLE,
        )
