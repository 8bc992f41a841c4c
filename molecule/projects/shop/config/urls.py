from django.conf import settings
from django.contrib import admin
from django.urls import path
from shop.notes import views

urlpatterns = [
    path("", views.home),
    path("files/", views.keep),
    path(settings.ADMIN_URL, admin.site.urls),
]
