from django.urls import path

from styleguide_example.health.apis import LiveApi, ReadyApi

urlpatterns = [
    path("live/", LiveApi.as_view(), name="health-live"),
    path("ready/", ReadyApi.as_view(), name="health-ready"),
]
