"""How the OpenAPI document describes the two health checks."""

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from styleguide_example.api.schema import errors

live_schema = extend_schema(
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

_readiness = inline_serializer(
    "Readiness",
    fields={
        "status": serializers.CharField(),
        "release": serializers.CharField(),
        "checks": serializers.DictField(child=serializers.CharField()),
    },
)

ready_schema = extend_schema(
    operation_id="healthReady",
    tags=["health"],
    summary="This release can serve",
    description="If it cannot, send it no traffic; a restart will not help.",
    responses={
        200: OpenApiResponse(
            _readiness,
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
            _readiness,
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
