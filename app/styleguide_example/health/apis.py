from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.schema import errors
from styleguide_example.health.selectors import readiness_checks


class LiveApi(APIView):
    @extend_schema(
        operation_id="healthLive",
        tags=["health"],
        summary="The process answers",
        description="If it does not, restart it.",
        responses={
            200: OpenApiResponse(
                inline_serializer("Liveness", fields={"status": serializers.CharField()}),
                description="It does.",
                examples=[OpenApiExample("Alive", value={"status": "ok"})],
            ),
            **errors(),
        },
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyApi(APIView):
    _documented = inline_serializer(
        "Readiness",
        fields={
            "status": serializers.CharField(),
            "release": serializers.CharField(),
            "checks": serializers.DictField(child=serializers.CharField()),
        },
    )

    @extend_schema(
        operation_id="healthReady",
        tags=["health"],
        summary="This release can serve",
        description="If it cannot, send it no traffic; a restart will not help.",
        responses={
            200: OpenApiResponse(
                _documented,
                description="It can.",
                examples=[
                    OpenApiExample(
                        "Ready",
                        value={
                            "status": "ok",
                            "release": "20260101-abcdef",
                            "checks": {"database": "ok", "migrations": "ok"},
                        },
                    )
                ],
            ),
            503: OpenApiResponse(
                _documented,
                description="It cannot.",
                examples=[
                    OpenApiExample(
                        "Not ready",
                        value={
                            "status": "unavailable",
                            "release": "20260101-abcdef",
                            "checks": {"database": "ok", "migrations": "failed"},
                        },
                    )
                ],
            ),
            **errors(),
        },
    )
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
