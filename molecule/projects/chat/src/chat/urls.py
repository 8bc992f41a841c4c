from django.db import connection
from django.http import HttpResponse
from django.urls import path

EDITION = "first edition"


def home(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        return HttpResponse(f"Chat: {EDITION}, {cursor.fetchone()[0]}")


urlpatterns = [path("", home)]
