"""Django REST framework: JSON in, JSON out, public unless an API says otherwise."""

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "styleguide_example.api.errors.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
