from django.conf import settings
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.health.schema import live_schema, ready_schema
from styleguide_example.health.selectors import readiness_checks


class LiveApi(APIView):
    @live_schema
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyApi(APIView):
    @ready_schema
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
